package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"filippo.io/age"

	"vernal/idp/seal"
)

// Protection says how to encrypt a master key: to a passphrase, or to age public keys. The zero
// value leaves the master key out of the backup.
type Protection struct {
	Passphrase string
	// Recipients are age public keys, one per line.
	Recipients string
}

// IsZero reports whether the master key is left out.
func (p Protection) IsZero() bool { return p == Protection{} }

const (
	// minPassphrase is the minimum length of a passphrase in characters. An attacker
	// with the file can try passphrases without a limit.
	minPassphrase = 12
	// scryptWork is the logarithm of the work factor of scrypt. It takes 128 MiB of memory
	// for a moment.
	scryptWork = 17
	// maxScryptWork bounds the memory that a foreign file can claim: 1 GiB.
	maxScryptWork = 20
	maxRecipients = 64 << 10
)

// Errors of Protection.
var (
	ErrPassphrase = fmt.Errorf("the passphrase has fewer than %d characters: choose a longer one", minPassphrase)
	ErrRecipient  = errors.New("not an age public key (age1…): make one with age-keygen")
)

// Check returns ErrPassphrase or ErrRecipient if a key cannot be encrypted this way.
func (p Protection) Check() error {
	if p.Passphrase != "" && utf8.RuneCountInString(p.Passphrase) < minPassphrase {
		return ErrPassphrase
	}
	_, err := p.parseRecipients()
	return err
}

func (p Protection) parseRecipients() ([]age.Recipient, error) {
	if p.Passphrase != "" {
		r, err := age.NewScryptRecipient(p.Passphrase)
		if err != nil {
			return nil, ErrPassphrase
		}
		r.SetWorkFactor(scryptWork)
		return []age.Recipient{r}, nil
	}
	if len(p.Recipients) > maxRecipients {
		return nil, ErrRecipient
	}
	list, err := age.ParseRecipients(strings.NewReader(p.Recipients))
	if err != nil || len(list) == 0 {
		return nil, ErrRecipient
	}
	return list, nil
}

// encrypt returns the member MasterKeyName.
func (p Protection) encrypt(key []byte) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	recipients, err := p.parseRecipients()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err == nil {
		_, err = w.Write(key)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt the master key: %w", err)
	}
	return out.Bytes(), nil
}

// UnlockSecret opens an encrypted master key: it has the passphrase, or the text of a file with age
// private keys.
type UnlockSecret struct {
	Passphrase string
	Identities string
}

// Errors of DecryptMaster.
var (
	ErrIdentity = errors.New("not an age private key (AGE-SECRET-KEY-1…): name the file that age-keygen wrote")
	ErrLocked   = errors.New("the master key in the backup does not open: check the passphrase or the identity file")
)

// DecryptMaster returns the master key in the member MasterKeyName.
func DecryptMaster(encrypted []byte, u UnlockSecret) (*seal.Master, error) {
	var identities []age.Identity
	if u.Passphrase != "" {
		id, err := age.NewScryptIdentity(u.Passphrase)
		if err != nil {
			return nil, ErrLocked
		}
		id.SetMaxWorkFactor(maxScryptWork)
		identities = append(identities, id)
	} else {
		list, err := age.ParseIdentities(strings.NewReader(u.Identities))
		if err != nil {
			return nil, ErrIdentity // its text could quote the key
		}
		identities = list
	}
	r, err := age.Decrypt(bytes.NewReader(encrypted), identities...)
	if err != nil {
		return nil, ErrLocked
	}
	text, err := io.ReadAll(io.LimitReader(r, 1<<10))
	if err != nil {
		return nil, ErrLocked
	}
	return seal.ParseMaster(string(text))
}
