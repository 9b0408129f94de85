package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"zhijiao/migrations"
)

// version is set when the program is built.
var version = "unknown"

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell which program this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "zhijiao %s, schema %d, %s %s/%s\n", version, migrations.Newest(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
