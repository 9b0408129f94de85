package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestStopInReverseOnce(t *testing.T) {
	t.Parallel()
	s := &stopStack{log: slog.New(slog.DiscardHandler)}
	var mu sync.Mutex
	var order []string
	for _, name := range []string{"a", "b", "c"} {
		s.push(name, func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, name)
			if name != "c" {
				return errors.New("not " + name)
			}
			return nil
		})
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			err := s.stop()
			if err == nil || !strings.Contains(err.Error(), "stop a: not a") || !strings.Contains(err.Error(), "stop b: not b") {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if !slices.Equal(order, []string{"c", "b", "a"}) {
		t.Errorf("%v", order)
	}
}

func TestALoopThatFailsFailsTheProgram(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 2)
	b := newBackground(func(err error) { failed <- err })
	b.run("quiet", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	b.run("loud", func(context.Context) error { return errors.New("broken") })
	if err := <-failed; err.Error() != "loud: broken" {
		t.Error(err)
	}
	if err := b.stop(context.Background()); err != nil {
		t.Error(err)
	}
	if len(failed) != 0 {
		t.Errorf("ending as told is no failure: %v", <-failed)
	}
}
