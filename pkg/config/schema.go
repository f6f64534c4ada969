package config

import (
	"encoding/json"
	"strings"
)

// Schema is the subset of JSON Schema (draft 7, which editors support) that a cluster file needs.
type Schema struct {
	Schema               string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Enum                 []any              `json:"enum,omitempty"`
	Default              any                `json:"default,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	MinLength            int                `json:"minLength,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	Items                *Schema            `json:"items,omitempty"`
	MinItems             *int               `json:"minItems,omitempty"`
	MaxItems             *int               `json:"maxItems,omitempty"`
	UniqueItems          bool               `json:"uniqueItems,omitempty"`
	Properties           map[string]*Schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // false or a *Schema
	AnyOf                []*Schema          `json:"anyOf,omitempty"`
	AllOf                []*Schema          `json:"allOf,omitempty"`
	Not                  *Schema            `json:"not,omitempty"`
	If                   *Schema            `json:"if,omitempty"`
	Then                 *kindRule          `json:"then,omitempty"`
}

// kindRule restricts the keys of a check of one kind: keys of other kinds are false.
type kindRule struct {
	Properties map[string]bool `json:"properties,omitempty"`
	Required   []string        `json:"required,omitempty"`
}

// JSONSchema returns the schema of a cluster file for editors, as JSON with a final newline. Parse rejects every file
// that the schema rejects, but not vice versa: the schema cannot express rules across keys.
func JSONSchema() []byte { return newClusterFile().jsonSchema() }

func (f *clusterFile) jsonSchema() []byte {
	s := f.top.object()
	s.Schema, s.Title = "http://json-schema.org/draft-07/schema#", "cluster file of lvs-director"
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		panic(err) // only our own strings, numbers and booleans
	}
	return []byte(text.String())
}

// object is the schema of the section's mappings.
func (s *section) object() *Schema {
	var o Schema
	if s.schema != nil {
		o = s.schema()
	}
	o.Type, o.Properties, o.AdditionalProperties = "object", map[string]*Schema{}, false
	for _, d := range s.keys {
		o.Properties[d.name] = d.schema()
		if d.required != "" && d.kinds == nil && d.others == nil {
			o.Required = append(o.Required, d.name)
		}
		if d.others != nil {
			one := &Schema{}
			for _, name := range append([]string{d.name}, d.others...) {
				one.AnyOf = append(one.AnyOf, &Schema{Required: []string{name}})
			}
			o.AllOf = append(o.AllOf, one)
		}
	}
	return &o
}

// schema is the schema of the key's value.
func (d *declaration) schema() *Schema {
	s := *d.form.schema
	s.Description, s.Default = d.doc, d.def
	if d.form.inside == nil {
		return &s
	}
	object := d.form.inside.object()
	switch d.form.many {
	case list:
		s.Items = object
	case byNode: // a missing key has the value from the section itself
		object.Required = nil
		for _, p := range object.Properties {
			p.Default = nil
		}
		s.AdditionalProperties = object
	case single:
		object.Description = d.doc
		return object
	}
	return &s
}

// kindSchema defines the keys of each kind of check.
func kindSchema(kinds []checkKind) Schema {
	var s Schema
	all := kindKeys(kinds)
	for _, k := range kinds {
		s.AllOf = append(s.AllOf, keysOfKind(k.name, k.keys, all)...)
	}
	return s
}

// keysOfKind returns the rule that a mapping of this kind has its required keys and no key of another one; none if there
// is nothing to require.
func keysOfKind(name CheckType, keys, all []*declaration) []*Schema {
	then := &kindRule{Properties: map[string]bool{}}
	for _, d := range all {
		if !d.of(name) {
			then.Properties[d.name] = false
		}
	}
	for _, d := range keys {
		if d.required != "" {
			then.Required = append(then.Required, d.name)
		}
	}
	if len(then.Properties)+len(then.Required) == 0 {
		return nil
	}
	typed := &Schema{Properties: map[string]*Schema{"type": {Enum: []any{string(name)}}}, Required: []string{"type"}}
	return []*Schema{{If: typed, Then: then}}
}
