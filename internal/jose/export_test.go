package jose

// VerifySignature checks a token's signature alone, for vectors of RFCs whose
// claims are no access token's.
func VerifySignature(token string, keys *KeySet) ([]byte, error) {
	h, err := parseHeader(token)
	if err != nil {
		return nil, err
	}
	return h.verify(token, keys, nil)
}

// KeyIDs returns the identifiers of a set's keys.
func (s *KeySet) KeyIDs() []string {
	var ids []string
	for _, k := range s.keys {
		ids = append(ids, k.KeyID)
	}
	return ids
}
