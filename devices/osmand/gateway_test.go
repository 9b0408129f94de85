package osmand

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

const place = "&lat=30.65&lon=113.16&timestamp=1795492800&accuracy=8"

type published struct{ topic, payload string }

func newGateway(t *testing.T) (g *Gateway, sent *[]published, away *bool) {
	t.Helper()
	sent, away = &[]published{}, new(bool)
	terminals := new(devices.Terminals)
	mac := func(s []byte) []byte { return append([]byte("mac of "), s...) }
	terminals.Replace(map[devices.Serial]devices.Terminal{"osmand-7": {MACs: [][]byte{mac([]byte("secret"))}}, "traccar-8": {MACs: [][]byte{mac([]byte("x"))}, Datum: devices.GCJ02},
		"traccar-untagged": {MACs: [][]byte{mac([]byte("x"))}}})
	return New(Options{Terminals: terminals, MAC: mac, ForwardToken: "a token of a server", Clock: clock.NewStepped(time.Unix(1795492801, 0)),
		Quarantine: func(context.Context, []devices.Refused) error { return nil }, Log: slog.New(slog.DiscardHandler),
		Publish: func(_ context.Context, topic string, payload []byte) error {
			if *away {
				return errors.New("no broker")
			}
			*sent = append(*sent, published{topic, string(payload)})
			return nil
		}}), sent, away
}

func TestRequests_R40(t *testing.T) {
	t.Parallel()
	g, sent, away := newGateway(t)
	ask := func(method, address, body string, prepare func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, address, strings.NewReader(body))
		if prepare != nil {
			prepare(r)
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	form := func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("7", "secret")
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	const forwarded = `{"position":{"fixTime":"2026-11-24T04:00:00Z","latitude":30.65,"longitude":113.16,"attributes":{}},"device":{"uniqueId":"8"}}`
	for name, c := range map[string]struct {
		method, address, body string
		prepare               func(*http.Request)
		want                  int
		answer                string
	}{
		"key in the address":           {"GET", "/?id=7&key=secret" + place, "", nil, 200, ""},
		"basic":                        {"POST", "/", "id=7" + place, form, 200, ""},
		"bearer":                       {"GET", "/?id=osmand-7" + place, "", bearer("secret"), 200, ""},
		"client of Traccar":            {"POST", "/?key=secret", `{"device_id":"7","location":{"timestamp":"2026-11-24T04:00:00Z","coords":{"latitude":30.65,"longitude":113.16}}}`, nil, 200, ""},
		"forwarded":                    {"POST", "/", forwarded, bearer("a token of a server"), 200, ""},
		"no secret":                    {"GET", "/?id=7" + place, "", nil, 401, "forbidden"},
		"wrong secret":                 {"GET", "/?id=7&key=other" + place, "", nil, 401, "forbidden"},
		"nobody":                       {"GET", "/?id=9&key=secret" + place, "", nil, 401, "forbidden"},
		"another's name":               {"POST", "/", "id=8" + place, form, 401, "forbidden"},
		"forwarded without the token":  {"POST", "/", forwarded, bearer("secret"), 401, "forbidden"},
		"forwarded for nobody":         {"POST", "/", strings.Replace(forwarded, `"8"`, `"9"`, 1), bearer("a token of a server"), 401, "forbidden"},
		"forwarded as an address":      {"GET", "/?id=8&valid=true&batt=null&speed=1.5" + place, "", bearer("a token of a server"), 200, ""},
		"forwarded, of no datum":       {"POST", "/", strings.Replace(forwarded, `"8"`, `"untagged"`, 1), bearer("a token of a server"), 400, `{"error":"undeclared_datum","field":"datum"}`},
		"a forwarded one's own secret": {"GET", "/?id=8&key=x" + place, "", nil, 401, "forbidden"},
		"the token is no secret":       {"GET", "/?id=7" + place, "", bearer("a token of a server"), 401, "forbidden"},
		"a bad field":                  {"GET", "/?id=7&key=secret&lat=x&lon=1&timestamp=1795492800", "", nil, 400, `{"error":"wrong_type","field":"lat"}`},
		"a bad field, and no secret":   {"GET", "/?id=7&lat=x&lon=1&timestamp=1795492800", "", nil, 401, "forbidden"},
		"who is it":                    {"GET", "/?lat=x", "", nil, 400, `{"error":"missing_field","field":"id"}`},
		"too large":                    {"POST", "/?id=7&key=secret", strings.Repeat("x", maxBody+1), nil, 413, "oversized"},
		"another method":               {"PUT", "/?id=7&key=secret" + place, "", nil, 405, "method"},
		"a name that breaks the topic": {"GET", "/?id=7/../8&key=secret" + place, "", nil, 401, "forbidden"},
	} {
		*sent = nil
		w := ask(c.method, c.address, c.body, c.prepare)
		if w.Code != c.want || !strings.Contains(w.Body.String(), c.answer) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if stored := len(*sent); (c.want == 200) != (stored == 1) {
			t.Errorf("%s: %d messages to the broker", name, stored)
		}
		if c.want != 200 {
			g.wrong = newLimits[string](wrongRate, wrongBurst)
			continue
		}
		if topic := (*sent)[0].topic; strings.HasPrefix(name, "forwarded") != (topic == "up/traccar-8/fix") || !strings.HasPrefix(name, "forwarded") != (topic == "up/osmand-7/fix") {
			t.Errorf("%s: to %s", name, (*sent)[0].topic)
		}
	}
	*away = true
	if w := ask("GET", "/?id=7&key=secret"+place, "", nil); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("without a broker: %d", w.Code)
	}
	*away = false
	for range wrongBurst {
		if w := ask("GET", "/?id=7&key=guess"+place, "", nil); w.Code != 401 {
			t.Fatalf("%d", w.Code)
		}
	}
	if w := ask("GET", "/?id=7&key=secret"+place, "", nil); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("after many wrong secrets: %d", w.Code)
	}
	if w := ask("POST", "/", forwarded, bearer("a token of a server")); w.Code != 200 { // others behind the address do not suffer for it
		t.Errorf("another tracker of that address: %d", w.Code)
	}
	limited := 0
	for range trackerBurst + 50 {
		if w := ask("POST", "/", forwarded, bearer("a token of a server")); w.Code == 429 {
			limited++
		}
	}
	if limited == 0 {
		t.Error("a tracker may send as fast as it likes")
	}
}

// 200 is said when the broker has acknowledged, and what it has is our wire; without an answer of the broker 503.
func TestNoAnswerWithoutPuback(t *testing.T) {
	t.Parallel()
	b, up := mqtttest.Broker(t, mqtttest.Options{}), &mqtttest.Collector{}
	mqtttest.Link(t, b.Reader(0, up.Handle))
	link := mqtttest.Link(t, b.Service(topic.GatewayClient("test")))
	g, _, _ := newGateway(t)
	g.o.Publish = func(ctx context.Context, topic string, payload []byte) error {
		return link.Publish(ctx, topic, 1, payload)
	}
	ask := func() int {
		r := httptest.NewRequest(http.MethodGet, "/?id=7&key=secret"+place, nil)
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w.Code
	}
	if code := ask(); code != http.StatusOK {
		t.Fatal(code)
	}
	mqtttest.Eventually(t, "it is at the broker", func() bool { return len(up.Messages()) == 1 })
	m := up.Messages()[0]
	serial, kind, _ := topic.Parse(m.Topic)
	got := devices.DecodeJSON(devices.Raw{Serial: serial, Kind: kind, Payload: m.Payload, ReceivedAt: time.Unix(1795492801, 0)}, devices.DecodeOptions{Key: fuzzKey})
	if len(got.Observations) != 1 || serial != "osmand-7" || kind != devices.KindFix || got.Observations[0].Place.Lat != 30.65 {
		t.Errorf("%s: %+v", m.Topic, got)
	}
	b.Stop()
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("without a broker: %d", code)
	}
}
