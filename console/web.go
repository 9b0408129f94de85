package console

import "embed"

// webFiles is the front end as built by make web. Without it the API still works, and the page says what is missing.
//
//go:embed all:web/dist
var webFiles embed.FS
