package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// stepTime bounds how long one part may take to stop.
const stepTime = 15 * time.Second

// stopStack is what has been started, in order; it stops in reverse. Stop may be called from anywhere, any number of
// times; all calls return the same.
type stopStack struct {
	log   *slog.Logger
	mu    sync.Mutex
	steps []stopStep
	once  sync.Once
	err   error
}

type stopStep struct {
	name string
	stop func(context.Context) error
}

// push records how to stop what was just started.
func (s *stopStack) push(name string, stop func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, stopStep{name, stop})
}

// stop ends everything, the latest first. Every step runs, whatever became of the ones before it; a step that does not
// return in time is named and left behind.
func (s *stopStack) stop() error {
	s.once.Do(func() {
		s.mu.Lock()
		steps := s.steps
		s.mu.Unlock()
		var errs []error
		for i := len(steps) - 1; i >= 0; i-- {
			began := time.Now()
			if err := stopOne(steps[i]); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", steps[i].name, err))
			}
			s.log.Debug("stopped", "part", steps[i].name, "took", time.Since(began).Round(time.Millisecond))
		}
		s.err = errors.Join(errs...)
	})
	return s.err
}

func stopOne(step stopStep) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), stepTime, fmt.Errorf("not stopped after %v", stepTime))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- step.stop(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select { // a step that heeds ctx ends now; the rest of the program has to end as well
	case err := <-done:
		return err
	case <-time.After(stepTime):
		return context.Cause(ctx)
	}
}

// background runs loops that end with their context, and stops them by ending it and waiting.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	fail   func(error)
}

func newBackground(fail func(error)) *background {
	ctx, cancel := context.WithCancel(context.Background())
	return &background{ctx: ctx, cancel: cancel, fail: fail}
}

// run starts a loop. One that returns an error before it was told to end fails the program.
func (b *background) run(name string, loop func(context.Context) error) {
	b.wg.Go(func() {
		if err := loop(b.ctx); err != nil && b.ctx.Err() == nil {
			b.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

func (b *background) stop(ctx context.Context) error {
	b.cancel()
	done := make(chan struct{})
	go func() { b.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
