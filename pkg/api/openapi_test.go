package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

var update = flag.Bool("update", false, "write openapi.json")

// TestOpenAPI: openapi.json describes the routes and their types.
func TestOpenAPI(t *testing.T) {
	d := newDescriber(t)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(d.document()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text.Bytes(), description) {
		t.Error("openapi.json is not that of the routes and types: go test ./pkg/api -run TestOpenAPI -update")
	}
}

// TestAnswersAreAsDescribed: the daemon sends the description, and documents that match it.
func TestAnswersAreAsDescribed(t *testing.T) {
	schemas := compile(t)
	since := time.Now()
	director := status.Director{
		Head:      status.Head{Node: "lvs-master", Role: "director", ProblemDetails: []problem.Problem{{Code: problem.TwoMasters}}},
		Instances: []status.Instance{{Name: "mysql", Dropped: map[string]uint64{"ttl": 1 << 63}, HandedOverSince: &since, AdvertLateness: &status.Lateness{Buckets: []status.LatenessBucket{{Bound: 0.5}}}}},
		VirtualServers: []status.VirtualServer{{RealServers: []status.RealServer{{
			Traffic: &status.Traffic{}, Override: &status.Override{Since: since}, SlowStartUntil: &since,
		}}}},
	}
	for _, tt := range []struct {
		id, schema string
		doc        any
		valid      bool
	}{
		{"a director", "Director", director, true},
		{"an agent", "Agent", status.Agent{}, true},
		{"an event", "Event", at(5, "reason"), true},
		{"an explanation", "Explanation", status.Explanation{Checks: []status.Check{{Last: &status.CheckResult{}}}}, true},
		{"a result", "OverrideResult", status.OverrideResult{}, true},
		{"an event without a kind", "Event", map[string]any{"time": since}, false},
		{"a weight that is a text", "RealServer", map[string]any{"weight": "3"}, false},
		{"a problem", "Refusal", Refusal{Type: "about:blank", Status: 404}, true},
	} {
		text, err := json.Marshal(tt.doc)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas(tt.schema).Validate(doc); (err == nil) != tt.valid {
			t.Errorf("%s: %v", tt.id, err)
		}
	}
	client, stop := serve(t, Handlers{})
	defer stop()
	response, err := client.http.Get("http://daemon/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || !bytes.Equal(text, description) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// compile returns the schemas of the description by name.
func compile(t *testing.T) func(name string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(description))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return func(name string) *jsonschema.Schema {
		s, err := c.Compile("openapi.json#/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

type object = map[string]any

// describer makes the description.
type describer struct {
	comments map[string]string // of types "Name" and fields "Name.Field"
	schemas  object
	types    map[string]reflect.Type
}

func newDescriber(t *testing.T) *describer {
	t.Helper()
	d := &describer{comments: map[string]string{}, schemas: object{}, types: map[string]reflect.Type{}}
	for _, dir := range []string{".", "../status", "../event", "../problem", "../override"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			d.read(file)
		}
	}
	return d
}

// read takes the comments of a file.
func (d *describer) read(file *ast.File) {
	text := func(groups ...*ast.CommentGroup) string {
		var all []string
		for _, g := range groups {
			if g != nil {
				all = append(all, strings.Join(strings.Fields(g.Text()), " "))
			}
		}
		return strings.Join(all, " ")
	}
	for _, decl := range file.Decls {
		g, is := decl.(*ast.GenDecl)
		if !is || g.Tok != token.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			s := spec.(*ast.TypeSpec)
			d.comments[s.Name.Name] = cmp.Or(text(s.Doc), text(g.Doc))
			fields, is := s.Type.(*ast.StructType)
			if !is {
				continue
			}
			for _, f := range fields.Fields.List {
				for _, n := range f.Names {
					d.comments[s.Name.Name+"."+n.Name] = text(f.Doc, f.Comment)
				}
			}
		}
	}
}

func (d *describer) document() object {
	paths := object{}
	for _, r := range routes() {
		at, known := paths[r.path].(object)
		if !known {
			at = object{}
			paths[r.path] = at
		}
		at[strings.ToLower(r.method)] = d.operation(r)
	}
	d.schema(reflect.TypeFor[Refusal]())
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "lvs-director and lvs-realserver", "version": "1",
			"description": "Daemons answer on a Unix socket. Fields and events may be added; none is renamed. The role of a request is read or change.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths": paths,
		"components": object{
			"schemas":   d.schemas,
			"responses": object{"Refusal": object{"description": "An error (RFC 9457)", "content": object{problemType: object{"schema": reference("Refusal")}}}},
		},
	}
}

func reference(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func (d *describer) operation(r route) object {
	answer := object{"description": r.summary}
	if r.answer != nil {
		answer["content"] = d.content(r.answer, r.stream)
	}
	refused := object{"$ref": "#/components/responses/Refusal"}
	o := object{
		"operationId": r.id, "summary": r.summary, "x-role": r.role,
		"responses": object{fmt.Sprint(cmp.Or(r.status, http.StatusOK)): answer, "default": refused},
	}
	if r.directorOnly {
		o["description"] = "Only a director answers it; an agent says 404."
	}
	var parameters []object
	for _, p := range r.parameters {
		parameters = append(parameters, object{
			"name": p.name, "in": p.in, "description": p.doc, "required": p.required, "schema": d.schema(reflect.TypeOf(p.example)), "example": p.example,
		})
	}
	if parameters != nil {
		o["parameters"] = parameters
	}
	if r.body != nil {
		o["requestBody"] = object{"required": true, "content": d.content(r.body, false)}
	}
	return o
}

// content describes a body.
func (d *describer) content(v any, stream bool) object {
	if all, several := v.(alternatives); several {
		var schemas []object
		for _, one := range all {
			schemas = append(schemas, d.schema(reflect.TypeOf(one)))
		}
		return object{"application/json": object{"schema": object{"anyOf": schemas}}}
	}
	s := d.schema(reflect.TypeOf(v))
	switch {
	case stream:
		return object{jsonLines.contentType: object{"schema": s}, serverSent.contentType: object{"schema": object{"type": "string"}}}
	case reflect.TypeOf(v).Kind() == reflect.String:
		return object{"text/plain": object{"schema": s}}
	}
	return object{"application/json": object{"schema": s}}
}

// schema returns the schema of a type. Structs are in components.
func (d *describer) schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Struct:
		if d.types[t.Name()] != t {
			if d.types[t.Name()] != nil {
				panic("two types are called " + t.Name())
			}
			d.types[t.Name()] = t
			s := object{"type": "object"}
			d.schemas[t.Name()] = s
			d.fill(t, s)
		}
		return reference(t.Name())
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.Slice:
		return object{"type": []string{"array", "null"}, "items": d.schema(t.Elem())} // nil is null
	case reflect.Map:
		s := object{"type": "object"}
		if t.Elem().Kind() != reflect.Interface {
			s["additionalProperties"] = d.schema(t.Elem())
		}
		return s
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	}
	panic("no schema for " + t.String())
}

// fill adds the fields of a struct, with those of embedded ones.
func (d *describer) fill(t reflect.Type, s object) {
	properties, _ := s["properties"].(object)
	if properties == nil {
		properties = object{}
		s["properties"] = properties
	}
	if text := d.comments[t.Name()]; text != "" && s["description"] == nil {
		s["description"] = text
	}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			d.fill(f.Type, s)
			continue
		case name == "-" || !f.IsExported():
			continue
		}
		field := d.schema(f.Type)
		if text := d.comments[t.Name()+"."+f.Name]; text != "" {
			field["description"] = text // beside $ref too, since OpenAPI 3.1
		}
		properties[cmp.Or(name, f.Name)] = field
		if !strings.Contains(options, "omit") {
			required, _ := s["required"].([]string)
			s["required"] = append(required, cmp.Or(name, f.Name))
		}
	}
}
