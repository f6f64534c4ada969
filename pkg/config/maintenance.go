package config

func maintenanceDirField() key[contents] {
	return &field[contents, string]{
		name: "maintenance_dir", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(c *contents) *string { return &c.maintenanceDir },
		unset: "none", reload: Live,
		doc:   "a directory on each director: a file in it drains the real servers with its name: `mysql1`, `10.77.0.11` or `10.77.0.11:3306`. See [maintenance.md](maintenance.md#by-a-file)",
		words: []word{synonyms("maintenancedir")},
	}
}
