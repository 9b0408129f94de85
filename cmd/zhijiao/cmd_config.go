package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
)

func newConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print a settings file with every key, its meaning and its default",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var b strings.Builder
			b.WriteString("# Settings of zhijiao. Each is also an environment variable and a flag; a flag goes over the environment, the\n# environment over this file.\n")
			for _, k := range config.Keys() {
				fmt.Fprintf(&b, "\n# %s\n# %s, --%s\n%s: %q\n", k.Doc, k.Env(), k.Flag(), k.Name, k.Default)
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
			return err
		},
	}
}
