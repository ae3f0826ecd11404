// Package xmlenc encrypts our assertions to a service provider's certificate (XML Encryption
// 1.1): the content with a fresh AES-256 key, in CBC or GCM mode, and that key with RSA-OAEP. It
// also decrypts the NameID of a request, which service providers encrypt to us.
//
// The form is the one that service providers have met for fifteen years: the EncryptedKey is
// inside the KeyInfo of its EncryptedData, names the recipient's certificate, and refers to
// the data by its Id, with the "#" that the reference implementation omits. The digest inside
// OAEP is written even if it is the default.
//
// The package takes and returns bytes. The xmlenc package of crewjam/saml, which is the
// counterpart in the tests, works on trees of etree, has no AES-256-GCM, and ties the hash of
// MGF1 to that of OAEP, although the algorithm rsa-oaep-mgf1p fixes it to SHA-1 (xmlenc-core1
// §5.5.2).
package xmlenc

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"vernal/idp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

const (
	namespace   = "http://www.w3.org/2001/04/xmlenc#"
	typeElement = "http://www.w3.org/2001/04/xmlenc#Element"
)

// Algorithms, as named by EncryptionMethod and DigestMethod in our messages and in metadata.
const (
	AlgorithmCBC    = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
	AlgorithmGCM    = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
	AlgorithmOAEP   = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
	AlgorithmSHA1   = "http://www.w3.org/2000/09/xmldsig#sha1"
	AlgorithmSHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
)

// The algorithms for the settings of a registration.
var (
	contentNames = map[string]string{idp.EncryptionCBC: AlgorithmCBC, idp.EncryptionGCM: AlgorithmGCM}
	digestNames  = map[string]string{idp.DigestSHA1: AlgorithmSHA1, idp.DigestSHA256: AlgorithmSHA256}
)

// keySize is the key size of AES-256, in bytes.
const keySize = 32

// Encrypter encrypts for one recipient. It is read-only after New and may be shared.
type Encrypter struct {
	publicKey *rsa.PublicKey
	certBase64   string // base64
	contentAlgorithm   string // the algorithm for the content
	digestAlgorithm string // the digest inside OAEP
	oaep   rsa.OAEPOptions
}

// New returns an Encrypter to the certificate's RSA key. The mode is idp.EncryptionCBC or
// idp.EncryptionGCM, the digest idp.DigestSHA1 or idp.DigestSHA256. It does not check the
// certificate's dates.
func New(cert *x509.Certificate, mode, digest string) (*Encrypter, error) {
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("encryption certificate has a key of type %s, not RSA", cert.PublicKeyAlgorithm)
	}
	if bits := public.N.BitLen(); bits < idp.MinKeyBits {
		return nil, fmt.Errorf("encryption certificate has a key of %d bits, fewer than %d", bits, idp.MinKeyBits)
	}
	e := &Encrypter{
		publicKey: public, certBase64: base64.StdEncoding.EncodeToString(cert.Raw),
		contentAlgorithm: contentNames[mode], digestAlgorithm: digestNames[digest],
	}
	switch "" {
	case e.contentAlgorithm:
		return nil, fmt.Errorf("unknown encryption %q", mode)
	case e.digestAlgorithm:
		return nil, fmt.Errorf("unknown encryption digest %q", digest)
	}
	e.oaep = rsa.OAEPOptions{Hash: digestHashes[e.digestAlgorithm], MGFHash: crypto.SHA1}
	return e, nil
}

// Write writes an EncryptedData that contains the plaintext: one element, which must declare
// every namespace that it uses, because it is parsed alone.
func (e *Encrypter) Write(w *xmltree.Writer, plaintext []byte) error {
	key := make([]byte, keySize)
	rand.Read(key)
	defer clear(key)
	wrapped, err := rsa.EncryptOAEPWithOptions(rand.Reader, e.publicKey, key, &e.oaep)
	if err != nil {
		return fmt.Errorf("encrypt the content key: %w", err)
	}
	sealed, err := e.sealContent(key, plaintext)
	if err != nil {
		return err
	}
	dataID, keyID := newID(), newID()
	w.Start("xenc", namespace, "EncryptedData", newAttr("Id", dataID), newAttr("Type", typeElement))
	w.Element("xenc", namespace, "EncryptionMethod", "", newAttr("Algorithm", e.contentAlgorithm))
	w.Start("ds", xmldsig.Namespace, "KeyInfo")
	w.Start("xenc", namespace, "EncryptedKey", newAttr("Id", keyID))
	w.Start("xenc", namespace, "EncryptionMethod", newAttr("Algorithm", AlgorithmOAEP))
	w.Element("ds", xmldsig.Namespace, "DigestMethod", "", newAttr("Algorithm", e.digestAlgorithm))
	w.End()
	w.Start("ds", xmldsig.Namespace, "KeyInfo")
	w.Start("ds", xmldsig.Namespace, "X509Data")
	w.Element("ds", xmldsig.Namespace, "X509Certificate", e.certBase64)
	w.End()
	w.End()
	writeCipher(w, wrapped)
	w.Start("xenc", namespace, "ReferenceList")
	w.Element("xenc", namespace, "DataReference", "", newAttr("URI", "#"+dataID))
	w.End()
	w.End() // EncryptedKey
	w.End() // KeyInfo
	writeCipher(w, sealed)
	w.End()
	_, err = w.Bytes()
	return err
}

// sealContent encrypts the content: the IV or nonce, then the ciphertext (§5.2).
func (e *Encrypter) sealContent(key, plaintext []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if e.contentAlgorithm == AlgorithmGCM {
		gcm, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		return gcm.Seal(nil, nil, plaintext, nil), nil
	}
	return sealCBC(block, plaintext), nil
}

// sealCBC pads to a full block and encrypts. The last byte is the length of the padding, and
// the rest of the padding is random (§5.2.1).
func sealCBC(block cipher.Block, plaintext []byte) []byte {
	size := block.BlockSize()
	pad := size - len(plaintext)%size
	sealed := make([]byte, size+len(plaintext)+pad)
	iv, content := sealed[:size], sealed[size:]
	rand.Read(iv)
	rest := content[copy(content, plaintext):]
	rand.Read(rest)
	rest[pad-1] = byte(pad)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(content, content)
	return sealed
}

func writeCipher(w *xmltree.Writer, value []byte) {
	w.Start("xenc", namespace, "CipherData")
	w.Start("xenc", namespace, "CipherValue")
	w.Base64(value)
	w.End()
	w.End()
}

func newAttr(name, value string) xmltree.Attr { return xmltree.Attr{Local: name, Value: value} }

// newID returns an Id that no other element of the document has.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return "_" + hex.EncodeToString(b[:])
}
