package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"vernal/idp"
	"vernal/idp/durable"
)

// fileMode is what the store's file has: it holds sessions and NameIDs.
const fileMode = 0o600

// pageSize is fixed, and not the machine's, because every change writes whole
// pages (some arm64 kernels have 64 kB ones) and files move between machines.
const pageSize = 4096

// mapSize is the address space taken at once. It costs no memory and no disk;
// growing it later would wait for every reader and stop new ones.
const mapSize = 1 << 30

// errClosed is returned by every method after Close.
var errClosed = errors.New("store is closed")

// Options of Open.
type Options struct {
	// Sealer seals people's records. Required, and the same at every Open.
	Sealer idp.Sealer
	// Clock gives the time of audit records. Required.
	Clock idp.Clock
	// Log is told of what an operator should know; nil for none.
	Log *slog.Logger
	// LockWait is how long Open waits for another process to let go of the
	// file. Zero: it tries once.
	LockWait time.Duration
}

// Store is an idp.Store in one bbolt file. Open makes one.
type Store struct {
	db     *bbolt.DB
	sealer idp.Sealer
	clock  idp.Clock
	log    *slog.Logger

	messages messages
	queue    queue
	stopped  chan struct{} // closed when the committer has ended
	changes  atomic.Uint64

	closing  sync.Once
	closeErr error
}

var _ idp.Store = (*Store)(nil)

// Open opens the store at path, and makes it if there is none. Its folder must
// be there. A store that an earlier Vernal wrote is brought up to date, and kept
// as it was beside it, see migrate.go. It returns idp.ErrLocked if another process has it open,
// idp.ErrSchema if a newer Vernal wrote it, and an error if it was sealed with
// another key.
func Open(path string, o Options) (*Store, error) {
	if o.Sealer == nil || o.Clock == nil {
		return nil, errors.New("open store: Sealer and Clock are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return s, nil
}

func open(path string, o Options) (*Store, error) {
	before, statErr := os.Stat(path)
	db, err := bbolt.Open(path, fileMode, boltOptions(o.LockWait))
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, idp.ErrLocked
	}
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, sealer: o.Sealer, clock: o.Clock, log: o.Log, stopped: make(chan struct{})}
	s.queue.init()
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if statErr != nil {
		err = durable.SyncDir(filepath.Dir(path))
	} else if mode := before.Mode().Perm(); mode&^fileMode != 0 {
		s.log.Warn("store file was open to others, closing it to them", "path", path, "mode", mode.String())
		err = os.Chmod(path, fileMode)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.run()
	return s, nil
}

// boltOptions are chosen for many small commits to a file that may grow large.
func boltOptions(wait time.Duration) *bbolt.Options {
	return &bbolt.Options{
		// Zero would wait for ever.
		Timeout:  max(wait, time.Nanosecond),
		PageSize: pageSize,
		// The list of free pages is not written with every commit: after a
		// night's sweep it holds tens of thousands of pages, which a
		// sign-in would have to sort and write. It is found again at Open by
		// walking the pages in use, a second or two for each GB of the file.
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapSize,
		NoStatistics:    true,
	}
}

// prepare makes a new file's buckets, brings an older store up to date, and
// checks every file.
func (s *Store) prepare() error {
	found, err := s.identify()
	if err != nil {
		return err
	}
	switch {
	case found == 0:
		err = s.db.Update(s.create)
	case found < schema:
		err = s.migrate(found)
	default:
		err = s.addBuckets()
	}
	if err != nil {
		return err
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		if err := complete(tx, bucketCount-1); err != nil {
			return err
		}
		return s.messages.load(tx)
	})
}

const keyCheck = "vernal store"

func (s *Store) create(tx *bbolt.Tx) error {
	if err := makeBuckets(tx); err != nil {
		return err
	}
	meta := tx.Bucket([]byte(inMeta.String()))
	if err := meta.Put([]byte("schema"), []byte(strconv.Itoa(schema))); err != nil {
		return err
	}
	if err := meta.Put([]byte("key-check"), s.sealer.Seal("store/key-check", []byte(keyCheck))); err != nil {
		return err
	}
	return s.putHead(tx, tail{})
}

// identify finds the schema of the file, 0 if it is new. It makes sure that the
// file is a store of ours that can be opened, before anything is changed in it.
func (s *Store) identify() (found int, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if name, _ := tx.Cursor().First(); name == nil {
			return nil
		}
		found, err = s.check(tx)
		return err
	})
	return found, err
}

func (s *Store) check(tx *bbolt.Tx) (found int, err error) {
	meta := tx.Bucket([]byte(inMeta.String()))
	if meta == nil {
		return 0, errors.New("the file is not a store of Vernal")
	}
	found, err = strconv.Atoi(string(meta.Get([]byte("schema"))))
	switch {
	case err == nil && found < 1:
		err = fmt.Errorf("there is no schema %d", found)
		fallthrough
	case err != nil:
		return 0, corrupt(inMeta, []byte("schema"), err)
	case found > schema:
		return 0, fmt.Errorf("%w: %d, known up to %d", idp.ErrSchema, found, schema)
	}
	var without []bucket
	if found == 1 {
		without = addedIn2
	}
	if err := complete(tx, lastOfSchema, without...); err != nil {
		return 0, err
	}
	if plain, err := s.sealer.Open("store/key-check", meta.Get([]byte("key-check"))); err != nil || string(plain) != keyCheck {
		return 0, errors.New("the store was sealed with another master key")
	}
	return found, nil
}

// complete checks that the buckets are there, up to the last, but for some.
func complete(tx *bbolt.Tx, last bucket, without ...bucket) error {
	for b := range last + 1 {
		if tx.Bucket([]byte(b.String())) == nil && !slices.Contains(without, b) {
			return fmt.Errorf("bucket %v is missing", b)
		}
	}
	return nil
}

// addBuckets makes the buckets that came to the layout after the file was made.
// Where there are none, nothing is written.
func (s *Store) addBuckets() error {
	var added bool
	err := s.db.View(func(tx *bbolt.Tx) error {
		added = complete(tx, bucketCount-1) != nil
		return nil
	})
	if err != nil || !added {
		return err
	}
	return s.db.Update(makeBuckets)
}

// makeBuckets makes those that are missing.
func makeBuckets(tx *bbolt.Tx) error {
	for b := range bucketCount {
		if _, err := tx.CreateBucketIfNotExists([]byte(b.String())); err != nil {
			return err
		}
	}
	return nil
}

// Ping reports whether the store answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.view(ctx, func(r *reader) error {
		_, err := r.tail()
		return err
	})
}

// Close finishes the changes under way and releases the file. Later calls of
// any method return an error; a second Close returns what the first did.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.queue.close(errClosed)
		<-s.stopped
		s.closeErr = s.db.Close()
	})
	return s.closeErr
}
