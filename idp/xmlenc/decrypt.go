package xmlenc

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"strings"

	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// ErrDecrypt is returned for everything that cannot be decrypted. It does not disclose the
// cause, because a difference between a wrong key and wrong padding would be a padding oracle.
var ErrDecrypt = errors.New("does not decrypt with our key")

// keySizes lists the ciphers that Decrypt accepts. Triple-DES and RSA with PKCS #1 v1.5
// padding are not accepted.
var keySizes = map[string]int{
	"http://www.w3.org/2001/04/xmlenc#aes128-cbc": 16,
	AlgorithmCBC: 32,
	"http://www.w3.org/2009/xmlenc11#aes128-gcm": 16,
	AlgorithmGCM: 32,
}

const (
	namespace11     = "http://www.w3.org/2009/xmlenc11#"
	algorithmOAEP11 = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
)

// Decrypt decrypts the EncryptedData in e, for example an EncryptedID, whose key was encrypted
// to ours. The EncryptedKey is in its KeyInfo or beside it (saml-core §2.2.4). It returns the
// plaintext, or ErrDecrypt.
//
// CBC does not authenticate the plaintext, so e must come from a message whose signature was
// verified.
func Decrypt(e *xmltree.Element, key crypto.Decrypter) ([]byte, error) {
	data, wrapped := findEnvelope(e)
	if data == nil {
		return nil, ErrDecrypt
	}
	mode := readAlgorithm(data)
	size := keySizes[mode]
	sealed, ok := readCipherValue(data)
	if !ok || size == 0 {
		return nil, ErrDecrypt
	}
	content, err := unwrapKey(wrapped, key)
	if err != nil || len(content) != size {
		return nil, ErrDecrypt
	}
	defer clear(content)
	block, err := aes.NewCipher(content)
	if err != nil {
		return nil, ErrDecrypt
	}
	if strings.HasSuffix(mode, "-gcm") {
		return openGCM(block, sealed)
	}
	return openCBC(block, sealed)
}

// unwrapKey decrypts an EncryptedKey.
func unwrapKey(e *xmltree.Element, key crypto.Decrypter) ([]byte, error) {
	wrapped, ok := readCipherValue(e)
	if !ok {
		return nil, ErrDecrypt
	}
	options := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	method := findOnlyChild(e, namespace, "EncryptionMethod")
	if digest := findOnlyChild(method, xmldsig.Namespace, "DigestMethod"); digest != nil {
		name, _ := digest.Attr("Algorithm")
		if options.Hash, ok = digestHashes[name]; !ok {
			return nil, ErrDecrypt
		}
	}
	switch readAlgorithm(e) {
	case AlgorithmOAEP:
	case algorithmOAEP11:
		if mgf := findOnlyChild(method, namespace11, "MGF"); mgf != nil {
			name, _ := mgf.Attr("Algorithm")
			if options.MGFHash, ok = mgfHashes[name]; !ok {
				return nil, ErrDecrypt
			}
		}
	default:
		return nil, ErrDecrypt
	}
	return key.Decrypt(nil, wrapped, options)
}

var digestHashes = map[string]crypto.Hash{AlgorithmSHA1: crypto.SHA1, AlgorithmSHA256: crypto.SHA256}

var mgfHashes = map[string]crypto.Hash{namespace11 + "mgf1sha1": crypto.SHA1, namespace11 + "mgf1sha256": crypto.SHA256}

func openGCM(block cipher.Block, sealed []byte) ([]byte, error) {
	gcm, err := cipher.NewGCM(block)
	if err != nil || len(sealed) < gcm.NonceSize() {
		return nil, ErrDecrypt
	}
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plain, nil
}

// openCBC is the reverse of sealCBC.
func openCBC(block cipher.Block, sealed []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(sealed) < 2*size || len(sealed)%size != 0 {
		return nil, ErrDecrypt
	}
	plain := make([]byte, len(sealed)-size)
	cipher.NewCBCDecrypter(block, sealed[:size]).CryptBlocks(plain, sealed[size:])
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > size {
		return nil, ErrDecrypt
	}
	return plain[:len(plain)-pad], nil
}

// findOnlyChild returns the only child of that name, or nil for none or more than one.
func findOnlyChild(e *xmltree.Element, space, local string) *xmltree.Element {
	if e == nil {
		return nil
	}
	if all := e.Children(space, local); len(all) == 1 {
		return all[0]
	}
	return nil
}

// readAlgorithm returns the algorithm of the EncryptionMethod, or "" without one.
func readAlgorithm(e *xmltree.Element) string {
	method := findOnlyChild(e, namespace, "EncryptionMethod")
	if method == nil {
		return ""
	}
	name, _ := method.Attr("Algorithm")
	return name
}

var spaceRemover = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "")

// readCipherValue returns the content of the CipherData. Its base64 may contain line breaks.
func readCipherValue(e *xmltree.Element) ([]byte, bool) {
	value := findOnlyChild(findOnlyChild(e, namespace, "CipherData"), namespace, "CipherValue")
	if value == nil {
		return nil, false
	}
	data, err := base64.StdEncoding.DecodeString(spaceRemover.Replace(value.Text()))
	return data, err == nil
}
