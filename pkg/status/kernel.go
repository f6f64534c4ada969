package status

// Kernel is what the kernel of a director has, as of the last minute.
type Kernel struct {
	Release  string          `json:"release"` // as uname -r prints it
	Features []KernelFeature `json:"features"`
}

// KernelFeature is a feature of the kernel.
type KernelFeature struct {
	Name string `json:"name"`
	Has  string `json:"has"` // present, absent, unknown
	Why  string `json:"why"` // what tells it
}
