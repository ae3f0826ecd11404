// Package backup makes and reads backups of an installation. A backup is one gzip-compressed
// tar archive:
//
//	manifest.json    see Manifest: the installation, digests of the other files, MAC
//	vernal.db        the store at one moment, without free pages
//	keys/YEAR.EXT    the keys folder: sealed private keys, certificates
//	vernal.yaml      the configuration without secrets
//	master.key.age   the master key, encrypted to a passphrase or a recipient; optional
//
// A second, empty gzip stream at the end has the digest of the first one as its comment.
//
// Everything secret in it is sealed with the master key, so that without that key a backup
// discloses no more than the data folder does. The manifest comes first, so that a reader
// knows what to expect before it writes anything. Its MAC needs the store's keys: until the
// store is open, only digests can be checked.
//
// The package does not finish a restore. Package restore does.
package backup
