package devices

// maskedSize is how much of a masked payload is kept: enough to see what a device gets wrong.
const maskedSize = 2 << 10

// wireWords are the only words of a payload that stay readable when it is masked.
var wireWords = func() map[string]bool {
	words := map[string]bool{}
	for _, w := range []string{
		"v", "device", "boot", "sent", "datum", "obs", "seq", "at", "lon", "lat", "acc", "method", "speed", "sats", "battery",
		"strap", "charging", "cell", "operator", "signal", "sim", "last_gasp", "answers", "result", "command", "outcome",
		"received", "done", "failed", "unsupported",
		"gnss", "wifi", "rf", "closed", "open", "unknown", "power_off", "reset", "ok", "true", "false", "null", "NaN", "Infinity",
		"_type", "location", "transition", "tst", "created_at", "batt", "bs", "vel", "source", "mcc", "mnc", "lac", "cid",
		"T", "Z", "e", "E", "WGS", "CGCS", "GCJ", "BD",
	} {
		words[w] = true
	}
	return words
}()

// Mask keeps the shape of a payload and nothing of its content: every digit becomes 9, every letter of a word that is not
// of the wire format becomes x, everything else but JSON's own signs becomes a full stop.
func Mask(payload []byte) []byte {
	if len(payload) > maskedSize {
		payload = payload[:maskedSize]
	}
	out := make([]byte, len(payload))
	for i := 0; i < len(payload); {
		c := payload[i]
		if !wordByte(c) {
			out[i] = maskedByte(c)
			i++
			continue
		}
		end := i
		for end < len(payload) && wordByte(payload[end]) {
			end++
		}
		if wireWords[string(payload[i:end])] {
			copy(out[i:end], payload[i:end])
		} else {
			for j := i; j < end; j++ {
				out[j] = 'x'
			}
		}
		i = end
	}
	return out
}

func wordByte(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func maskedByte(c byte) byte {
	switch c {
	case '{', '}', '[', ']', ':', ',', '"', '\\', '.', '-', '+', ' ', '\t', '\n', '\r':
		return c
	}
	if c >= '0' && c <= '9' {
		return '9'
	}
	return '.'
}
