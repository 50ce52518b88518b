package msgpack

// Skip steps over one value of any type at i, with all that it contains, and
// returns the index after it. In the value, depth containers may be open inside
// each other, and never more than [MaxDepth].
//
// It does not recurse: its stack holds, for each container that it opened, how
// many values are still to come; 128 bytes, whatever is sent.
func Skip(b []byte, i, depth int) (int, Fault) {
	depth = min(depth, MaxDepth)
	var stack [MaxDepth]uint32
	top := 0
	left := uint32(1) // values to come at this level
	for {
		for left == 0 {
			if top == 0 {
				return i, OK
			}
			top--
			left = stack[top]
		}
		left--
		if i >= len(b) {
			return i, Truncated
		}
		c := b[i]
		if size := int(fixedSize[c]); size > 0 {
			if size > len(b)-i {
				return i, Truncated
			}
			i += size
			continue
		}
		var count int
		var f Fault
		switch {
		case c >= 0xd9 && c <= 0xdb: // str 8, 16, 32
			_, i, f = Str(b, i)
		case c >= 0xc4 && c <= 0xc6: // bin 8, 16, 32
			if i, count = lengthAt(b, i, c-0xc4); count < 0 || count > len(b)-i {
				return i, Truncated
			}
			i += count
		case c >= 0xc7 && c <= 0xc9: // ext 8, 16, 32
			_, _, i, f = Ext(b, i)
		case c&0xf0 == 0x80 || c >= 0xde: // map
			if count, i, f = MapHead(b, i); f == OK {
				// Twice a count of pairs fits: it was compared with what is left.
				if left, top, f = push(&stack, top, depth, left, 2*count); f != OK {
					return i, f
				}
			}
		case c == 0xc1:
			return i, Reserved
		default: // array
			if count, i, f = ArrayHead(b, i); f == OK {
				if left, top, f = push(&stack, top, depth, left, count); f != OK {
					return i, f
				}
			}
		}
		if f != OK {
			return i, f
		}
	}
}

// push opens a container of count values.
func push(stack *[MaxDepth]uint32, top, depth int, left uint32, count int) (uint32, int, Fault) {
	if top >= depth {
		return left, top, TooDeep
	}
	stack[top] = left
	return uint32(count), top + 1, OK
}
