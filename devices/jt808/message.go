package jt808

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"

	"zhijiao/devices"
)

// ID is what a message is.
type ID uint16

// Messages that are understood or sent. Those from a terminal have no 0x8000.
const (
	TerminalReply  ID = 0x0001 // 终端通用应答
	Heartbeat      ID = 0x0002 // 终端心跳
	Deregistration ID = 0x0003 // 终端注销
	Registration   ID = 0x0100 // 终端注册
	Authentication ID = 0x0102 // 终端鉴权
	Report         ID = 0x0200 // 位置信息汇报
	QueryReply     ID = 0x0201 // 位置信息查询应答
	Batch          ID = 0x0704 // 定位数据批量上传

	PlatformReply     ID = 0x8001 // 平台通用应答
	RegistrationReply ID = 0x8100 // 终端注册应答
	SetParameters     ID = 0x8103 // 设置终端参数
	QueryLocation     ID = 0x8201 // 位置信息查询
	Text              ID = 0x8300 // 文本信息下发
)

// names are those of metric labels; what is not here is "other".
var names = map[ID]string{
	TerminalReply: "reply", Heartbeat: "heartbeat", Deregistration: "deregistration", Registration: "registration",
	Authentication: "authentication", Report: "report", QueryReply: "query_reply", Batch: "batch",
}

// String names the message, for metrics.
func (i ID) String() string {
	if n, ok := names[i]; ok {
		return n
	}
	return "other"
}

// Bits of a message's properties.
const (
	bitParts     = 1 << 13
	bitV2019     = 1 << 14
	encryptedAll = 7 << 10
)

// Header is what stands before each body.
type Header struct {
	ID       ID
	V2019    bool   // of the edition of 2019
	Protocol byte   // its protocol version; 0 before 2019
	Phone    string // 终端手机号 as sent: 12 digits, 20 in 2019. Terminals that put hexadecimal there exist
	Serial   uint16 // the terminal's own count of messages, from 0, again after 65535
	Parts    int    // 0: the message is whole
	Part     int    // from 1
}

// Message is a header with its body, which may be one part of a longer one.
type Message struct {
	Header
	Body []byte
}

// Open takes a frame without its marks apart: escapes, checksum, header, length. The body is a copy. An error says which was
// wrong; the message then has the header as far as it could be read, for the trace, and is not to be believed.
func Open(frame []byte) (Message, *devices.Fault) {
	var m Message
	if len(frame) > maxFrame {
		return m, &devices.Fault{Reason: devices.Oversized, Field: "frame", Detail: "longer than any message"}
	}
	plain, f := unescape(make([]byte, 0, len(frame)), frame)
	if f != nil {
		return m, f
	}
	if len(plain) < 13 {
		return m, &devices.Fault{Reason: devices.Malformed, Field: "frame", Detail: "shorter than a header"}
	}
	rest, sum := plain[:len(plain)-1], plain[len(plain)-1]
	if checksum(rest) != sum {
		return m, &devices.Fault{Reason: devices.Malformed, Field: "checksum", Detail: "the checksum is another"}
	}
	m.ID = ID(binary.BigEndian.Uint16(rest))
	properties := binary.BigEndian.Uint16(rest[2:])
	rest = rest[4:]
	digits := 6
	if m.V2019 = properties&bitV2019 != 0; m.V2019 {
		m.Protocol, rest, digits = rest[0], rest[1:], 10
	}
	tail := 2
	if properties&bitParts != 0 {
		tail += 4
	}
	if len(rest) < digits+tail {
		return m, &devices.Fault{Reason: devices.Malformed, Field: "length", Detail: "the header is cut"}
	}
	m.Phone = hex.EncodeToString(rest[:digits])
	rest = rest[digits:]
	m.Serial = binary.BigEndian.Uint16(rest)
	if properties&bitParts != 0 {
		m.Parts, m.Part = int(binary.BigEndian.Uint16(rest[2:])), int(binary.BigEndian.Uint16(rest[4:]))
		if m.Part < 1 || m.Part > m.Parts {
			return m, &devices.Fault{Reason: devices.OutOfRange, Field: "part", Detail: "a part that is not one of its message"}
		}
	}
	m.Body = rest[tail:]
	if len(m.Body) != int(properties&maxBody) {
		return m, &devices.Fault{Reason: devices.Malformed, Field: "length", Detail: "the body is not as long as the header says"}
	}
	if properties&encryptedAll != 0 {
		return m, &devices.Fault{Reason: devices.Encrypted, Field: "encryption", Detail: "the body is encrypted (RSA or another method): we have no key"}
	}
	return m, nil
}

// Append appends the frame of a message with its marks. A body over 1,023 bytes has to be sent in parts; see AppendParts.
func Append(dst []byte, m Message) ([]byte, error) {
	digits := 12
	if m.V2019 {
		digits = 20
	}
	phone, err := hex.DecodeString(m.Phone)
	if err != nil || len(m.Phone) != digits {
		return dst, errors.New("jt808: a phone number is 12 digits, 20 in the edition of 2019")
	}
	if len(m.Body) > maxBody {
		return dst, errors.New("jt808: the body is longer than a message can be")
	}
	properties := uint16(len(m.Body))
	if m.V2019 {
		properties |= bitV2019
	}
	if m.Parts > 0 {
		properties |= bitParts
	}
	plain := make([]byte, 0, maxHeader+len(m.Body))
	plain = binary.BigEndian.AppendUint16(plain, uint16(m.ID))
	plain = binary.BigEndian.AppendUint16(plain, properties)
	if m.V2019 {
		plain = append(plain, m.Protocol)
	}
	plain = append(plain, phone...)
	plain = binary.BigEndian.AppendUint16(plain, m.Serial)
	if m.Parts > 0 {
		if m.Part < 1 || m.Part > m.Parts || m.Parts > 0xffff {
			return dst, errors.New("jt808: a part that is not one of its message")
		}
		plain = binary.BigEndian.AppendUint16(plain, uint16(m.Parts))
		plain = binary.BigEndian.AppendUint16(plain, uint16(m.Part))
	}
	return appendEscaped(dst, append(plain, m.Body...)), nil
}

// AppendParts appends a message in parts of at most size bytes of body, with serials that count up from its own. It returns
// how many they are.
func AppendParts(dst []byte, m Message, size int) ([]byte, int, error) {
	if size < 1 || size > maxBody {
		size = maxBody
	}
	n := (len(m.Body) + size - 1) / size
	body, serial := m.Body, m.Serial
	for i := range n {
		m.Serial, m.Parts, m.Part, m.Body = serial+uint16(i), n, i+1, body[i*size:min((i+1)*size, len(body))]
		var err error
		if dst, err = Append(dst, m); err != nil {
			return dst, 0, err
		}
	}
	return dst, n, nil
}

// SerialPrefix begins the serial of every device that speaks this wire: the others cannot be spoken for over it.
const SerialPrefix = "jt808-"

// SerialOf is the device a phone number stands for: without its leading zeros, of which the editions have different numbers.
// A number of zeros alone is nobody's.
func SerialOf(phone string) (devices.Serial, bool) {
	digits := strings.TrimLeft(phone, "0")
	return devices.Serial(SerialPrefix + digits), digits != ""
}
