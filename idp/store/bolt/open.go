package bolt

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/durable"
	"vernal/idp/seal"
)

// fileMode is the mode of the store's file, which contains sessions and NameIDs.
const fileMode = 0o600

// pageSize does not depend on the machine, because files move between machines and every change
// writes whole pages, which have 64 kB on some arm64 kernels.
const pageSize = 4096

// mapSize is the smallest address space to reserve. Open reserves twice the file's size if that is
// more. Address space costs no memory and no disk. Growing it later would wait for every reader,
// for example a backup.
const mapSize = 1 << 30

// errClosed is returned by every method after Close.
var errClosed = errors.New("store is closed")

// Options are the options of Open.
type Options struct {
	// Masters are the master keys in force, under which the store's own keys are
	// wrapped. Required. Open adds the other one during a change of the master key.
	Masters *seal.Masters
	// Clock gives the time of audit records. Required.
	Clock idp.Clock
	// Log receives messages for operators. It may be nil.
	Log *slog.Logger
	// MustExist requires a store that was used before: a missing or empty file is an error.
	MustExist bool
	// LockWait is how long Open waits for another process to release the file. Zero means
	// that it tries once.
	LockWait time.Duration
}

// Store is an idp.Store in one bbolt file; see Open.
type Store struct {
	db      *bbolt.DB
	masters *seal.Masters
	ring    *seal.Ring // the newest ring keys, for values outside the store
	// rings are the ring keys by transaction, oldest first; see findRing.
	rings atomic.Pointer[[]ringVersion]
	clock idp.Clock
	log   *slog.Logger
	// reportedKeys contains the records that were logged because their MAC does not match, and
	// reportCount is their number.
	reportedKeys sync.Map
	reportCount  atomic.Int64

	// restoredAt is the time of the last restore; nil if there was none.
	restoredAt atomic.Pointer[time.Time]

	messages      messages
	queue         queue
	committerDone chan struct{} // closed when the committer has ended
	health        health
	isStuck       atomic.Bool // a transaction cannot be ended, see rollbackTx
	changes       atomic.Uint64

	closeOnce sync.Once
	closeErr  error
}

var _ idp.Store = (*Store)(nil)

// Open opens the store at path, and creates it if it is missing. Its folder must exist. Open
// returns idp.ErrLocked if another process has it open, idp.ErrDamaged if its file is damaged,
// idp.ErrSchema if another version of Vernal wrote it, ErrMaster if it was sealed with another
// master key, and idp.ErrTampered if its own metadata is not authentic.
func Open(path string, o Options) (*Store, error) {
	if o.Masters == nil || o.Clock == nil {
		return nil, errors.New("open store: Masters and Clock are required")
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
	var db *bbolt.DB
	info, statErr := os.Stat(path)
	var size int64
	if statErr == nil {
		size = info.Size()
	}
	options := boltOptions(o.LockWait, size)
	var err error
	switch {
	case statErr == nil && !info.Mode().IsRegular():
		err = damagedError("it is not a regular file")
	case statErr == nil && info.Size() > 0:
		err = checkFile(path, options)
	case o.MustExist:
		err = missingFileError(path, statErr)
	}
	if err == nil {
		db, err = openDB(path, options)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, idp.ErrLocked
	}
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, masters: o.Masters, clock: o.Clock, log: o.Log, committerDone: make(chan struct{})}
	s.queue.init()
	s.health.init()
	if err := s.prepare(o); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if statErr != nil {
		err = durable.SyncDir(filepath.Dir(path))
	} else if mode := info.Mode().Perm(); mode&^fileMode != 0 {
		s.log.Warn("other users could open the store file, so its mode is changed to 0600", "path", path, "mode", mode.String())
		err = os.Chmod(path, fileMode)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.runCommitter()
	return s, nil
}

// boltOptions returns options for many small commits to a file of the given size, which may grow
// large.
func boltOptions(wait time.Duration, size int64) *bbolt.Options {
	return &bbolt.Options{
		// Zero would wait without a limit.
		Timeout:  max(wait, time.Nanosecond),
		PageSize: pageSize,
		// The list of free pages is not written with every commit: after a large sweep it
		// contains tens of thousands of pages, which a sign-in would have to sort and write.
		// Open reads the pages in use to build it again, which takes one or two seconds for
		// each GB of the file.
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: max(mapSize, 2*int(size)),
		NoStatistics:    true,
	}
}

// ErrMaster is returned for a store whose keys are wrapped by another master key.
var ErrMaster = errors.New("the store was sealed with another master key")

// missingFileError returns the error for a store that must exist, but is missing or empty.
func missingFileError(path string, statErr error) error {
	if statErr != nil {
		return statErr
	}
	return damagedError("it is empty")
}

// prepare fills a new file, or checks an existing one. It changes an existing file only once it
// is certain that it is a store of ours.
func (s *Store) prepare(o Options) (err error) {
	defer recoverDamage(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	isNew := false
	err = s.db.View(func(tx *bbolt.Tx) error {
		name, _ := tx.Cursor().First()
		isNew = name == nil
		return nil
	})
	if err == nil && isNew {
		if o.MustExist {
			return damagedError("it contains no data")
		}
		err = s.db.Update(s.create)
	}
	if err != nil {
		return err
	}
	lacksIndex := false
	err = s.db.View(func(tx *bbolt.Tx) error {
		lacksIndex = tx.Bucket([]byte(inAuditUsers.String())) == nil
		if err := s.check(tx); err != nil {
			return err
		}
		return s.messages.load(s.newReader(tx))
	})
	if err == nil && lacksIndex {
		err = s.db.Update(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte(inAuditUsers.String()))
			return err
		})
	}
	return err
}

var schemaKey = []byte("schema")

func (s *Store) create(tx *bbolt.Tx) error {
	for b := range bucketCount {
		if _, err := tx.CreateBucket([]byte(b.String())); err != nil {
			return err
		}
	}
	first := seal.NewGeneration(1)
	s.setRing(seal.NewRing(first))
	w := &writer{reader: *s.newReader(tx)}
	w.putGeneration(first, s.masters)
	w.put(inMeta, schemaKey, []byte(strconv.Itoa(schema)))
	if err := w.flush(); err != nil {
		return err
	}
	return w.putHead(audit.Place{})
}

// check checks that the file is a store of this schema, and opens its keys. It reads the schema
// before it can verify it, so that a store with another schema gives idp.ErrSchema.
func (s *Store) check(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(inMeta.String()))
	if meta == nil {
		return damagedError("it is not a store of Vernal")
	}
	if err := checkSchema(meta.Get(schemaKey)); err != nil {
		return err
	}
	for b := range bucketCount {
		if b != inAuditUsers && tx.Bucket([]byte(b.String())) == nil { // added within schema 4
			return damagedError("bucket %v is missing", b)
		}
	}
	r := &reader{store: s, tx: tx} // loadRing sets the ring
	if err := r.loadRing(); err != nil {
		return err
	}
	storedSchema, err := r.find(inMeta, schemaKey)
	if err == nil && string(storedSchema) != strconv.Itoa(schema) {
		err = corruptError(inMeta, schemaKey, errors.New("not a schema"))
	}
	if err != nil {
		return err
	}
	if err := r.loadMasters(); err != nil {
		return err
	}
	return r.loadRestoredAt()
}

// checkSchema compares a stored schema that is not verified yet.
func checkSchema(value []byte) error {
	number, err := strconv.Atoi(string(seal.TrimMAC(value)))
	switch {
	case err != nil || number < 1:
		return corruptError(inMeta, schemaKey, errors.New("not a schema"))
	case number != schema:
		return fmt.Errorf("%w: schema %d instead of %d; open the store with the version of Vernal that wrote it", idp.ErrSchema, number, schema)
	}
	return nil
}

// Close finishes the changes under way and releases the file. Later calls of any method
// return an error. A second Close returns the result of the first.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.queue.close(errClosed)
		<-s.committerDone
		if s.isStuck.Load() {
			s.closeErr = s.queue.readFailure()
			return
		}
		s.closeErr = s.db.Close()
	})
	return s.closeErr
}
