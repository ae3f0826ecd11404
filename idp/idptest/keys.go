package idptest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/usage"
)

// rsaKeys are made once for all tests of a process: making them is slow, and
// which key it is matters to no test.
var rsaKeys [4]func() *rsa.PrivateKey

func init() {
	for i := range rsaKeys {
		rsaKeys[i] = sync.OnceValue(func() *rsa.PrivateKey {
			k, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				panic(err)
			}
			return k
		})
	}
}

// startRotation makes the keys of a first start and those asked for, and begins; or
// starts again.
func (i *IdP) startRotation(dir *certs.Dir, log *slog.Logger) {
	now := i.Clock.Now()
	years := append(i.Policy.FirstYears(now), i.options.Years...)
	slices.Sort(years)
	start := (*rotator.Service).Begin
	if i.Rotation != nil {
		years, start = nil, (*rotator.Service).Start
	}
	if i.options.FirstStart {
		years = nil
	}
	var made []rotation.Made
	for _, y := range years {
		signer, _ := i.newSigner(0)
		k, err := certs.Certify(rand.Reader, signer, y, i.Policy.Dates(y).CertEndAt, certs.Spec{}, i.URL, now)
		if err != nil {
			i.tb.Fatal(err)
		}
		if err := dir.Save(k); err != nil {
			i.tb.Fatal(err)
		}
		made = append(made, keyring.MadeOf(k))
	}
	if len(years) > 0 && len(i.options.Years) > 0 {
		i.recordSteps(made, now)
	}
	if i.options.Vault != nil {
		i.Policy.KeySource, dir = rotation.SourcePKCS11, dir.WithVault(i.options.Vault)
	}
	i.Years = keyring.NewRing(i.Policy)
	i.Usage = &usage.Ledger{Store: i.Store, Registry: i.Registry, Years: i.Years, Clock: i.Clock.Now, Log: log}
	i.Board = &migration.Service{Usage: i.Usage, Registry: i.Registry, Years: i.Years, Clock: i.Clock.Now}
	i.Rotation = &rotator.Service{
		Store: i.Store, Dir: dir, Ring: i.Years, Policy: i.Policy, BaseURL: i.URL,
		Clock: i.Clock.Now, Log: log, NewSigner: i.newSigner, Vault: i.options.Vault,
		Uses: i.Usage,
	}
	if err := start(i.Rotation, context.Background()); err != nil {
		i.tb.Fatal(err)
	}
}

// recordSteps records the history of an installation that has taken each step of its years,
// the oldest first, on its date.
func (i *IdP) recordSteps(made []rotation.Made, now time.Time) {
	h := i.Policy.Adopt(rotation.History{}, made, now)
	for n, m := range made {
		d := i.Policy.Dates(m.Year)
		if n == 0 || !d.PublishAt.After(now) {
			h = h.Apply(rotation.Step{Kind: rotation.StepPublish, Year: m.Year}, now)
		}
		if n == 0 || !d.PreferAt.After(now) {
			h = h.Apply(rotation.Step{Kind: rotation.StepPrefer, Year: m.Year}, now)
		}
	}
	err := i.Store.UpdateDocuments(context.Background(), idp.RotationKind, []string{idp.RotationKey}, idp.ChangeData(func(_ string, _ []byte) ([]byte, error) { return json.Marshal(h) }))
	if err != nil {
		i.tb.Fatal(err)
	}
}

// newSigner gives two keys in turn: a year's is never that of the one before.
func (i *IdP) newSigner(int) (crypto.Signer, error) {
	if i.options.Key != nil {
		return i.options.Key, nil
	}
	return rsaKeys[i.made.Add(1)%2](), nil
}

// KeysFolder is the path of the folder of signing keys.
func (i *IdP) KeysFolder() string { return filepath.Join(i.folder, "keys") }

// Year is the preferred year.
func (i *IdP) Year() idp.Year {
	e, err := i.Years.Preferred(i.Clock.Now())
	if err != nil {
		i.tb.Fatal(err)
	}
	return e.Key.Year
}

// OtherKey is a key that no test provider is registered with.
func OtherKey() *rsa.PrivateKey { return rsaKeys[3]() }

// Retire ends a year at once, as a revocation does: its certificate stays and
// its addresses say that it is gone. A year that was not there is made before;
// it must be newer than the preferred one. If it was the last that could sign, a
// successor takes its place.
func (i *IdP) Retire(y idp.Year) {
	i.tb.Helper()
	ctx := context.Background()
	if _, ok := i.Years.Lookup(y, i.Clock.Now()); !ok {
		if _, err := i.Rotation.Take(ctx, rotation.Step{Kind: rotation.StepCreate, Year: y}, "test", false); err != nil {
			i.tb.Fatal(err)
		}
	}
	if _, err := i.Rotation.Take(ctx, rotation.Step{Kind: rotation.StepRevoke, Year: y, Reason: "test"}, "test", false); err != nil {
		i.tb.Fatal(err)
	}
}

// OtherCert is a certificate of OtherKey.
func (i *IdP) OtherCert() *x509.Certificate { return selfSigned(i, OtherKey()) }
