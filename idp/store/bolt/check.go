package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"runtime"
	"strings"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"vernal/idp"
)

// bbolt trusts its file. It panics at an unexpected page, during Open in a goroutine of its own,
// which ends the process. So the pages are checked before bbolt walks through them, and its later
// panics become errors.

// The format of bbolt's file, version 2. Numbers have the byte order of the machine.
const (
	headerLen  = 16 // of a page: its number, flags, count of elements, pages that follow
	elementLen = 16 // of a branch: position and length of the key, page; of a leaf: flags, position, lengths of key and value
	bucketLen  = 16 // of a bucket's value: its root page, sequence; a root page 0 follows inline
	metaLen    = 64 // with its checksum, after the header

	branchFlag   = 0x01
	leafFlag     = 0x02
	freelistFlag = 0x10
	bucketFlag   = 0x01 // of an element of a leaf
	metaMagic    = 0xED0CDAED
	noFreelist   = ^uint64(0)
)

var byteOrder = binary.NativeEndian

func damagedError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{idp.ErrDamaged}, args...)...)
}

// checkFile checks the structure of a store's file while no other process writes to it. It
// returns berrors.ErrTimeout if one does.
func checkFile(path string, o *bbolt.Options) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < 2*pageSize {
		return damagedError("it has %d bytes: it was cut short", info.Size())
	}
	// Open for reading waits for the lock, and walks through no pages.
	lock, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: o.Timeout, ReadOnly: true})
	for _, known := range []error{berrors.ErrInvalid, berrors.ErrChecksum, berrors.ErrVersionMismatch} {
		if errors.Is(err, known) {
			return damagedError("%v", err)
		}
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	c := &fileChecker{file: f, size: info.Size()}
	return c.checkPages()
}

// fileChecker walks through the pages of a file.
type fileChecker struct {
	file io.ReaderAt
	size int64
	pageCount  uint64   // the number of pages in use or free
	seen []uint64 // a bit for each of them
	next []child  // pages to visit
	page []byte   // the memory of the page that is being checked
}

// child is a page that another one leads to. Its keys are from first on, and before limit; nil
// for any.
type child struct {
	id           uint64
	first, limit []byte
}

func (c *fileChecker) checkPages() error {
	meta, err := c.findMeta()
	if err != nil {
		return err
	}
	c.pageCount = byteOrder.Uint64(meta[40:])
	if c.pageCount > uint64(c.size)/pageSize {
		return damagedError("it has %d bytes, and %d pages of %d: it was cut short", c.size, c.pageCount, pageSize)
	}
	c.seen = make([]uint64, c.pageCount/64+1)
	if list := byteOrder.Uint64(meta[32:]); list != noFreelist {
		if err := c.checkFreelist(list); err != nil {
			return err
		}
	}
	c.next = append(c.next, child{id: byteOrder.Uint64(meta[16:])})
	for len(c.next) > 0 {
		next := c.next[len(c.next)-1]
		c.next = c.next[:len(c.next)-1]
		page, err := c.readPage(next.id)
		if err == nil {
			err = c.checkPage(page, next.first, next.limit)
		}
		if err != nil {
			return fmt.Errorf("page %d: %w", next.id, err)
		}
	}
	return nil
}

// findMeta returns the meta page that bbolt uses: the newest valid one.
func (c *fileChecker) findMeta() (newest []byte, err error) {
	for id := range int64(2) {
		b := make([]byte, headerLen+metaLen)
		if _, err := c.file.ReadAt(b, id*pageSize); err != nil {
			return nil, damagedError("read its head: %w", err)
		}
		meta := b[headerLen:]
		sum := fnv.New64a()
		sum.Write(meta[:metaLen-8])
		isValid := byteOrder.Uint32(meta) == metaMagic && byteOrder.Uint32(meta[8:]) == pageSize && byteOrder.Uint64(meta[metaLen-8:]) == sum.Sum64()
		if isValid && (newest == nil || byteOrder.Uint64(meta[48:]) > byteOrder.Uint64(newest[48:])) {
			newest = meta
		}
	}
	if newest == nil {
		return nil, damagedError("neither of its heads is valid")
	}
	return newest, nil
}

// readPage reads a page and those that continue it. No page is read twice.
func (c *fileChecker) readPage(id uint64) ([]byte, error) {
	if id < 2 || id >= c.pageCount {
		return nil, damagedError("it is outside of the file")
	}
	c.page = c.resize(pageSize)
	if _, err := c.file.ReadAt(c.page, int64(id*pageSize)); err != nil {
		return nil, damagedError("%w", err)
	}
	if byteOrder.Uint64(c.page) != id {
		return nil, damagedError("its header has the number of another page")
	}
	last := id + uint64(byteOrder.Uint32(c.page[12:]))
	if last >= c.pageCount {
		return nil, damagedError("it ends outside of the file")
	}
	for n := id; n <= last; n++ {
		if c.seen[n/64]&(1<<(n%64)) != 0 {
			return nil, damagedError("it is used twice")
		}
		c.seen[n/64] |= 1 << (n % 64)
	}
	if last > id {
		c.page = c.resize(int(last-id+1) * pageSize)
		if _, err := c.file.ReadAt(c.page, int64(id*pageSize)); err != nil {
			return nil, damagedError("%w", err)
		}
	}
	return c.page, nil
}

func (c *fileChecker) resize(n int) []byte {
	if cap(c.page) < n {
		return make([]byte, n)
	}
	return c.page[:n]
}

// checkPage checks the elements of a page, whose keys are between first and limit, and notes
// the pages that they lead to.
func (c *fileChecker) checkPage(page, first, limit []byte) error {
	flags, count := byteOrder.Uint16(page[8:]), int(byteOrder.Uint16(page[10:]))
	if flags != branchFlag && flags != leafFlag || flags == branchFlag && count == 0 {
		return damagedError("it has the flags %#x and %d elements", flags, count)
	}
	if headerLen+count*elementLen > len(page) {
		return damagedError("it has %d elements", count)
	}
	before := first
	for n := range count {
		at := headerLen + n*elementLen
		element := page[at:]
		var position, keyLen, valueLen uint64
		if flags == branchFlag {
			position, keyLen = uint64(byteOrder.Uint32(element)), uint64(byteOrder.Uint32(element[4:]))
		} else {
			position, keyLen, valueLen = uint64(byteOrder.Uint32(element[4:])), uint64(byteOrder.Uint32(element[8:])), uint64(byteOrder.Uint32(element[12:]))
		}
		begin := uint64(at) + position
		if begin+keyLen+valueLen > uint64(len(page)) {
			return damagedError("element %d ends outside of it", n)
		}
		key := page[begin : begin+keyLen]
		compared := bytes.Compare(before, key)
		if compared > 0 || compared == 0 && n > 0 || limit != nil && bytes.Compare(key, limit) >= 0 {
			return damagedError("element %d is not in order", n)
		}
		before = key
		if flags == branchFlag {
			key = bytes.Clone(key)
			if n > 0 {
				c.next[len(c.next)-1].limit = key
			}
			c.next = append(c.next, child{id: byteOrder.Uint64(element[8:]), first: key, limit: limit})
		}
		if flags == leafFlag && byteOrder.Uint32(element)&bucketFlag != 0 {
			if err := c.checkBucket(page[begin+keyLen : begin+keyLen+valueLen]); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkBucket checks the value that describes a bucket.
func (c *fileChecker) checkBucket(value []byte) error {
	if len(value) < bucketLen {
		return damagedError("a bucket has no root")
	}
	if root := byteOrder.Uint64(value); root != 0 {
		c.next = append(c.next, child{id: root})
		return nil
	}
	if len(value) < bucketLen+headerLen || byteOrder.Uint16(value[bucketLen+8:]) != leafFlag {
		return damagedError("a bucket inside a page is not a leaf")
	}
	if hasBucket(value[bucketLen:]) {
		return damagedError("a bucket inside a page contains another one")
	}
	return c.checkPage(value[bucketLen:], nil, nil)
}

// hasBucket reports whether an element of a leaf is a bucket. bbolt writes none into a bucket
// inside a page, and a file that nests them would use up the stack.
func hasBucket(leaf []byte) bool {
	count := int(byteOrder.Uint16(leaf[10:]))
	for n := range min(count, (len(leaf)-headerLen)/elementLen) {
		if byteOrder.Uint32(leaf[headerLen+n*elementLen:])&bucketFlag != 0 {
			return true
		}
	}
	return false
}

// checkFreelist checks the list of free pages, which a file has until the first change.
func (c *fileChecker) checkFreelist(id uint64) error {
	page, err := c.readPage(id)
	if err != nil {
		return fmt.Errorf("free pages: %w", err)
	}
	count, ids := uint64(byteOrder.Uint16(page[10:])), page[headerLen:]
	if count == 0xFFFF {
		count, ids = byteOrder.Uint64(ids), ids[8:]
	}
	if byteOrder.Uint16(page[8:]) != freelistFlag || count > uint64(len(ids)/8) {
		return damagedError("the list of free pages is not valid")
	}
	for n := range count {
		if id := byteOrder.Uint64(ids[n*8:]); id < 2 || id >= c.pageCount {
			return damagedError("a free page is outside of the file")
		}
	}
	return nil
}

// openDB opens a checked file. If bbolt still finds a fault in it, that is an error, and the file
// stays locked until the process ends.
func openDB(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
	defer recoverDamage(&err)
	return bbolt.Open(path, fileMode, o)
}

// recoverDamage must be deferred. It turns a panic about the content of the file into an error.
// Other panics continue.
func recoverDamage(err *error) {
	if v := recover(); v != nil {
		if *err = convertPanic(v); *err == nil {
			panic(v)
		}
	}
}

// convertPanic returns the error for a recovered panic about the content of the file: bbolt raised it,
// or reading the mapped file failed because of a bad disk. To see the stack of the panic, it must
// be called by the deferred function, directly or not.
func convertPanic(v any) error {
	if fault, ok := v.(interface{ Addr() uintptr }); ok {
		return damagedError("it cannot be read at %#x", fault.Addr())
	}
	calls := make([]uintptr, 64)
	frames := runtime.CallersFrames(calls[:runtime.Callers(1, calls)])
	panicked := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked = true
		case panicked && strings.HasPrefix(f.Function, "go.etcd.io/bbolt"):
			return damagedError("%v", v)
		case panicked && strings.HasPrefix(f.Function, "vernal/"):
			return nil // a mistake in our code
		}
		if !more {
			return nil
		}
	}
}

// stopDamaged stops the store after a panic about the content of the file: more changes to a
// damaged file could destroy the rest of it. All later calls return the error.
func (s *Store) stopDamaged(err error) {
	if s.queue.readFailure() == nil {
		s.log.Error("store is stopped: its file is damaged", "err", err)
	}
	s.health.recordResult(s.clock.Now(), err)
	s.queue.close(err)
}
