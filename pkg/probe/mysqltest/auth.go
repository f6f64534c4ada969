package mysqltest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"sync"
)

// serverKey is generated once: 2048 bits take a tenth of a second.
var serverKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// nativeProof is SHA1(password) XOR SHA1(challenge + SHA1(SHA1(password))).
func nativeProof(challenge []byte, password string) []byte {
	if password == "" {
		return nil
	}
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	mask := sha1.Sum(append(bytes.Clone(challenge), twice[:]...))
	return xor(once[:], mask[:])
}

// sha2Proof is SHA256(password) XOR SHA256(SHA256(SHA256(password)) + challenge).
func sha2Proof(challenge []byte, password string) []byte {
	if password == "" {
		return nil
	}
	once := sha256.Sum256([]byte(password))
	twice := sha256.Sum256(once[:])
	mask := sha256.Sum256(append(twice[:], challenge...))
	return xor(once[:], mask[:])
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i%len(b)]
	}
	return out
}

// proven runs the plugin's part of the login and reports whether the client has the password.
func (s *stream) proven(script Script, challenge []byte, c credentials) (bool, error) {
	switch script.Plugin {
	case Foreign:
		if err := s.write(append(append([]byte{0xfe}, string(Foreign)+"\x00"...), challenge...)); err != nil {
			return false, err
		}
		_, err := s.read()
		return false, err
	case SHA2:
		if !bytes.Equal(c.proof, sha2Proof(challenge, script.Password)) {
			return false, nil
		}
		if script.Password == "" {
			return true, nil
		}
		return true, s.write([]byte{authMoreData, fastAuthSuccess})
	case SHA2Full:
		return s.provenByKey(script, challenge)
	default:
		return bytes.Equal(c.proof, nativeProof(challenge, script.Password)), nil
	}
}

func (s *stream) provenByKey(script Script, challenge []byte) (bool, error) {
	key, err := serverKey()
	if err != nil {
		return false, err
	}
	if err := s.write([]byte{authMoreData, performFullAuth}); err != nil {
		return false, err
	}
	if request, err := s.read(); err != nil || !bytes.Equal(request, []byte{requestPublicKey}) {
		return false, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return false, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := s.write(append([]byte{authMoreData}, public...)); err != nil {
		return false, err
	}
	secret, err := s.read()
	if err != nil {
		return false, err
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), rand.Reader, key, secret, nil)
	if err != nil {
		return false, nil //nolint:nilerr // a secret that does not decrypt is a wrong password
	}
	return string(xor(plain, challenge)) == script.Password+"\x00", nil
}
