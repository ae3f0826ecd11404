package certs

import (
	"context"
	"fmt"
	"os"

	"vernal/idp"
	"vernal/idp/durable"
)

// Rewrap seals every private key for the master keys that are in force now. The keys
// that seal them stay. Each file is replaced in one step, so that it opens at any
// moment, and nothing is written where nothing changes: an interrupted call can be
// repeated. Years whose file does not open are left as they are, and are in the
// *DamagedError. With any other error the rest is not done.
func (d *Dir) Rewrap(ctx context.Context) error {
	return d.reseal(ctx, d.sealer.RewrapSealed)
}

// Reseal seals every private key with a new key. Like Rewrap it can be repeated.
func (d *Dir) Reseal(ctx context.Context) error {
	return d.reseal(ctx, func(sealContext string, sealed []byte) ([]byte, bool, error) {
		der, err := d.sealer.Open(sealContext, sealed)
		if err != nil {
			return nil, false, err
		}
		return d.sealer.Seal(sealContext, der), true, nil
	})
}

func (d *Dir) reseal(ctx context.Context, change func(sealContext string, sealed []byte) ([]byte, bool, error)) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	years, err := d.years(extKey)
	if err != nil {
		return err
	}
	var damaged []DamagedYear
	for _, y := range years {
		if err := ctx.Err(); err != nil {
			return err
		}
		opened, err := d.resealYear(y, change)
		switch {
		case err != nil && opened:
			return fmt.Errorf("seal signing key %s: %w", y, err)
		case err != nil:
			damaged = append(damaged, DamagedYear{Year: y, Err: err})
		}
	}
	if len(damaged) > 0 {
		return &DamagedError{Years: damaged}
	}
	return nil
}

// resealYear replaces one file. opened is false with the error of a file that does not
// open; any other error is one of reading or writing.
func (d *Dir) resealYear(y idp.Year, change func(sealContext string, sealed []byte) ([]byte, bool, error)) (opened bool, err error) {
	sealed, err := os.ReadFile(d.file(y, extKey))
	if err != nil {
		return true, err
	}
	out, changed, err := change(sealContext(y, false), sealed)
	if err != nil {
		var external error
		if out, changed, external = change(sealContext(y, true), sealed); external != nil {
			return false, err
		}
	}
	if !changed {
		return true, nil
	}
	return true, durable.Replace(d.file(y, extKey), out)
}
