package config

// Keeps reports whether a check keeps a connection.
func (c Check) Keeps() bool {
	k, is := c.Kind.(Keeper)
	return is && k.KeepsConnection()
}

// keepField is the key of a check that can keep a connection.
func keepField[K any](in func(*K) *bool) key[K] {
	return &field[K, bool]{
		name: "keep_connection", kind: flag(false), in: in,
		doc:    "whether a connection to the server is kept beside the checks, so that they are made at once when the server ends it",
		reload: Restart,
	}
}
