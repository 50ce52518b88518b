package cli

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Bytes is a flag's number of bytes; see [Size].
type Bytes int

// VersionFlag is a flag that prints name and version of the program.
type VersionFlag = kong.VersionFlag

// mappers decode every type that Parse knows.
func (r *reader) mappers() []kong.Option {
	return []kong.Option{
		kong.KindMapper(reflect.Bool, boolMapper{r}),
		kong.KindMapper(reflect.String, decode(r, readString)),
		kong.KindMapper(reflect.Int, decode(r, readInt)),
		kong.KindMapper(reflect.Int64, decode(r, readInt)),
		kong.KindMapper(reflect.Uint64, decode(r, readUint)),
		kong.KindMapper(reflect.Float64, decode(r, readFloat)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), decode(r, readDuration)),
		kong.TypeMapper(reflect.TypeFor[Bytes](), decode(r, readBytes)),
		kong.TypeMapper(reflect.TypeFor[Pair](), decode(r, readPair)),
	}
}

func readString(v *kong.Value, text string, target reflect.Value) error {
	if choices := v.Tag.Get("choice"); choices != "" {
		if err := OneOf(text, strings.Split(choices, ",")); err != nil {
			return err
		}
	}
	target.SetString(text)
	return nil
}

func readInt(v *kong.Value, text string, target reflect.Value) error {
	low, high := bounds(v, int64(0), math.MaxInt32, readBound[int64])
	n, err := Int(text, low, high)
	target.SetInt(n)
	return err
}

func readUint(v *kong.Value, text string, target reflect.Value) error {
	low, high := bounds(v, uint64(0), math.MaxInt64, readBound[uint64])
	n, err := Int(text, low, high)
	target.SetUint(n)
	return err
}

func readFloat(v *kong.Value, text string, target reflect.Value) error {
	low, high := bounds(v, 0, 1e15, func(text string) (float64, error) { return Rate(text, 0, math.MaxFloat64) })
	f, err := Rate(text, low, high)
	target.SetFloat(f)
	return err
}

func readDuration(v *kong.Value, text string, target reflect.Value) error {
	low, high := bounds(v, 0, MaxDuration, func(text string) (time.Duration, error) { return Duration(text, 0, MaxDuration) })
	d, err := Duration(text, low, high)
	target.SetInt(int64(d))
	return err
}

func readBytes(v *kong.Value, text string, target reflect.Value) error {
	low, high := bounds(v, int64(0), MaxSize, func(text string) (int64, error) { return Size[int64](text, 0, MaxSize) })
	n, err := Size(text, low, high)
	target.SetInt(n)
	return err
}

func readPair(_ *kong.Value, text string, target reflect.Value) error {
	p, err := ReadPair(text)
	target.Set(reflect.ValueOf(p))
	return err
}

func readBound[T int64 | uint64](text string) (T, error) { return Int[T](text, 0, math.MaxInt64) }

// bounds are those of the tags min and max. A tag that cannot be read is a
// mistake in the program.
func bounds[T any](v *kong.Value, low, high T, read func(string) (T, error)) (T, T) {
	for name, bound := range map[string]*T{"min": &low, "max": &high} {
		text := v.Tag.Get(name)
		if text == "" {
			continue
		}
		n, err := read(text)
		if err != nil {
			panic(fmt.Sprintf("--%s: %s %q: %v", v.Name, name, text, err))
		}
		*bound = n
	}
	return low, high
}

// boolMapper reads a switch: alone it means true.
type boolMapper struct{ r *reader }

func (boolMapper) IsBool() bool { return true }

func (m boolMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		target.SetBool(true)
		return nil
	}
	switch value := ctx.Scan.Pop().Value.(type) {
	case bool: // a flag negated by its name
		target.SetBool(value)
	case string:
		yes, err := Bool(value)
		if err != nil {
			m.r.fault(ctx.Value, value, err)
			return nil
		}
		target.SetBool(yes)
	default:
		return errors.New("must be true or false")
	}
	return nil
}
