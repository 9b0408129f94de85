package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestScreenshots takes the pictures of the documentation of a demo of its own. Only make screenshots asks for it.
func TestScreenshots(t *testing.T) {
	to := os.Getenv("ZHIJIAO_TEST_SCREENSHOTS")
	if to == "" {
		t.Skip("only make screenshots takes pictures")
	}
	p := up(t, dataFolder(t), "--demo")
	p.waitFor("password")
	cmd := exec.CommandContext(t.Context(), "node", "e2e/pictures.mjs")
	cmd.Dir = filepath.Join("..", "..", "console", "web")
	cmd.Env = append(os.Environ(), "BASE_URL="+p.said("page"), "ACCOUNT="+p.said("login"), "PASSWORD="+p.said("password"), "SCREENSHOTS="+to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pictures: %v\n%s", err, out)
	}
}
