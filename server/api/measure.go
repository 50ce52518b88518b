package api

import (
	"fmt"

	"sluice/protocol"
)

// measure counts the values of a JSON body and judges its depth, before the
// parser sees it: that one recurses, and needs some hundred bytes for each
// value of two. It does not recurse and does not allocate, and does not care
// whether the rest is JSON.
func measure(body []byte, maxValues int) (values int, refused *refusal) {
	depth := 0
	values = 1
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > protocol.MaxDepth {
				return 0, bad("body", fmt.Sprintf("is nested deeper than %d", protocol.MaxDepth))
			}
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if values > maxValues {
			return 0, tooLarge("body", maxValues, "JSON values")
		}
	}
	return values, nil
}
