package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice/internal/cli"
)

// fileSetting is how the file is named. It is no setting itself: a file that
// names another one would make an order of files.
const (
	fileFlag = "config"
	fileEnv  = "CONFIG_FILE"
)

// maxFileBytes is more than 1,024 analyzers and a comment on each need.
const maxFileBytes = 1 << 20

// fileValue is what a configuration file says of a setting, as a flag would
// have it, and the line that says it. Immutable.
type fileValue struct {
	text string
	line int
}

// file is a configuration file, by flag. Immutable.
type file struct {
	name   string
	values map[string]fileValue
}

// named is how a fault in the file is introduced.
func (f *file) named(line int, key string) string {
	return fmt.Sprintf("%s:%d: %s", f.name, line, key)
}

// count is how many settings have a value. A nil file has none.
func (f *file) count() (n int) {
	if f == nil {
		return 0
	}
	for _, v := range f.values {
		if v.text != "" { // an empty one counts as not set
			n++
		}
	}
	return n
}

// readFile reads a YAML mapping of settings: the names of the flags with _ for
// -, and analyzers as a list. It tells everything that is wrong; what a value
// means is judged where that of a flag is.
func readFile(name string) (*file, []cli.Fault) {
	text, err := readBounded(name)
	if err != nil {
		return nil, []cli.Fault{{Setting: "--" + fileFlag, Value: name, Text: err.Error()}}
	}
	f := &file{name: name, values: map[string]fileValue{}}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return f, nil // empty, or comments only: all defaults
	} else if err != nil {
		return nil, []cli.Fault{{Text: name + ": is not valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, []cli.Fault{{Text: name + ": must be a single YAML document"}}
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return f, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, []cli.Fault{{Text: f.named(root.Line, "must be a mapping of settings, such as max_queue: 5000")}}
	}
	return f, f.take(root)
}

func readBounded(name string) ([]byte, error) {
	in, err := os.Open(name)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err // the name stands before it already
		}
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("is larger than %s", cli.FormatSize(maxFileBytes))
	}
	return text, err
}

// take takes the pairs of the root.
func (f *file) take(root *yaml.Node) (faults []cli.Fault) {
	keys := map[string]setting{}
	names := make([]string, 0, len(keys))
	for _, s := range settings() {
		keys[s.key()] = s
		names = append(names, s.key())
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		s, known := keys[key.Value]
		at := f.named(key.Line, key.Value)
		switch _, twice := f.values[s.flag]; {
		case !known:
			faults = append(faults, cli.Fault{Text: at + ": is no setting" + cli.DidYouMean(key.Value, names)})
			continue
		case twice:
			faults = append(faults, cli.Fault{Text: at + ": is set twice"})
			continue
		}
		text, fault := scalar(value)
		if s.flag == analyzersFlag && fault == "" && text == "" { // the list was cut off, or its entries are comments
			fault = "must not be empty"
		}
		if s.flag == analyzersFlag && value.Kind == yaml.SequenceNode {
			var wrong []cli.Fault
			if text, wrong = f.analyzers(value); len(wrong) > 0 {
				faults = append(faults, wrong...)
				continue
			}
			fault = ""
		}
		if fault != "" {
			faults = append(faults, cli.Fault{Text: at + ": " + fault})
			continue
		}
		f.values[s.flag] = fileValue{text, key.Line}
	}
	return faults
}

// scalar is a value as it was written: 5, 0.5, 5s, 64MiB.
func scalar(value *yaml.Node) (text, fault string) {
	for value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	if value.Kind != yaml.ScalarNode {
		return "", "must be a single value"
	}
	if value.Tag == "!!null" {
		return "", ""
	}
	return value.Value, ""
}

// analyzerKeys are those of an entry of analyzers.
var analyzerKeys = []string{"name", "address", "weight"}

// analyzers writes the list as the flag has it, so that one place judges both.
func (f *file) analyzers(list *yaml.Node) (text string, faults []cli.Fault) {
	if len(list.Content) == 0 {
		return "", []cli.Fault{{Text: f.named(list.Line, "analyzers: must not be empty")}}
	}
	var entries []string
	for i, entry := range list.Content {
		for entry.Kind == yaml.AliasNode {
			entry = entry.Alias
		}
		fault := func(line int, text string) {
			faults = append(faults, cli.Fault{Text: f.named(line, fmt.Sprintf("analyzers, entry %d: %s", i+1, text))})
		}
		if entry.Kind != yaml.MappingNode {
			fault(entry.Line, "must be a mapping with name, address and weight")
			continue
		}
		given := map[string]string{"weight": "1"}
		seen := map[string]bool{}
		for k := 0; k+1 < len(entry.Content); k += 2 {
			key, value := entry.Content[k], entry.Content[k+1]
			text, wrong := scalar(value)
			switch {
			case key.Value != "name" && key.Value != "address" && key.Value != "weight":
				wrong = key.Value + " is not known" + cli.DidYouMean(key.Value, analyzerKeys)
			case seen[key.Value]:
				wrong = key.Value + " is set twice"
			case wrong != "":
				wrong = key.Value + " " + wrong
			case strings.ContainsAny(text, ",&"):
				wrong = fmt.Sprintf("%s %q must not contain a comma or an ampersand", key.Value, text)
			}
			if wrong != "" {
				fault(key.Line, wrong)
			}
			seen[key.Value], given[key.Value] = true, text
		}
		for _, key := range []string{"name", "address"} {
			if given[key] == "" {
				fault(entry.Line, key+" is missing")
			}
		}
		address := given["address"]
		if !strings.Contains(address, "://") {
			address = "tcp://" + address
		}
		entries = append(entries, given["name"]+"="+address+"?weight="+given["weight"])
	}
	return strings.Join(entries, ","), faults
}
