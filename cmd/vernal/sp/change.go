package sp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/logo"
	"vernal/idp/partnercert"
	"vernal/idp/sp"
)

// flags are the options of `sp add` and `sp edit`: one for every field of a registration, and the
// permissions in sp.Options.
type flags struct {
	entityID string
	metadata string
	options  sp.Options
}

func (f *flags) addFlags(c *cobra.Command, edit bool) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.entityID, "entity-id", "", "the provider's `ENTITY_ID`, which also selects one provider of metadata with several")
	flags.StringVar(&f.metadata, "metadata", "", "read URLs and certificates from the metadata at this `FILE|URL`")
	cli.SetGroup(flags, groupSource, "entity-id", "metadata")
	fields := sp.Fields()
	slices.SortStableFunc(fields, func(a, b sp.Field) int {
		return cmp.Compare(slices.Index(groups, chooseGroup(a)), slices.Index(groups, chooseGroup(b)))
	})
	for _, field := range fields {
		addFieldFlags(c, field, edit)
	}
	permit := func(target *bool, p sp.Permission) {
		flags.BoolVar(target, cli.FlagName(string(p)), false, cli.PermissionHelp[p])
		cli.SetGroup(flags, groupPermissions, cli.FlagName(string(p)))
	}
	permit(&f.options.AllowInsecureURL, sp.PermitInsecureURL)
	if !edit {
		permit(&f.options.Resume, sp.PermitResume)
		permit(&f.options.Replace, sp.PermitReplace)
	}
	permit(&f.options.NewNameIDs, sp.PermitNewNameIDs)
	permit(&f.options.KeepNameIDs, sp.PermitKeepNameIDs)
}

// The headings of options in help.
const (
	groupSource       = "Which service provider"
	groupEndpoints    = "Endpoints"
	groupCertificates = "Certificates and signatures"
	groupAssurance    = "Assurance"
	groupUsers        = "Users"
	groupLifecycle    = "Lifecycle"
	groupPermissions  = "Permissions"
)

var groups = []string{groupEndpoints, groupCertificates, groupAssurance, groupUsers, groupLifecycle}

// chooseGroup returns the heading for a field. An unlisted field gets the heading of the lifecycle.
func chooseGroup(f sp.Field) string {
	switch f.Name {
	case "compat":
		return groupEndpoints
	case "certs", "encryption_certs", "encryption", "encryption_digest", "metadata_signer":
		return groupCertificates
	case "ial", "allow_ialmax", "aal":
		return groupAssurance
	case "name", "logo", "agency", "attributes", "email_attribute", "name_id_formats", "help_text", "consent", "allow_prompt_create":
		return groupUsers
	}
	switch {
	case strings.HasPrefix(f.Name, "sign_"):
		return groupCertificates
	case isURL(f), f.Name == "acs_indexes":
		return groupEndpoints
	}
	return groupLifecycle
}

func isURL(f sp.Field) bool {
	return strings.HasSuffix(f.Option(), "_url") || strings.HasSuffix(f.Option(), "_uri")
}

// chooseValueName names the value of a field whose help does not.
func chooseValueName(f sp.Field) string {
	switch {
	case isURL(f):
		return "URL"
	case f.Kind == sp.KindInts:
		return "NUMBER"
	case f.Kind == sp.KindCert:
		return "FILE"
	case f.Name == "contacts":
		return "EMAIL"
	case f.Name == "agency" || f.Name == "team":
		return "NAME"
	}
	return "VALUE"
}

// addFieldFlags adds the option of a field and, if edit is set, the option that removes values.
func addFieldFlags(c *cobra.Command, field sp.Field, edit bool) {
	flags, help, name := c.Flags(), field.Help, cli.FlagName(field.Option())
	remove := "remove-" + name
	defer func() {
		for _, n := range []string{name, remove} {
			if f := flags.Lookup(n); f != nil {
				cli.SetGroup(flags, chooseGroup(field), n)
				if kind, _ := pflag.UnquoteUsage(f); kind != strings.ToUpper(kind) {
					cli.SetValueName(flags, n, chooseValueName(field))
				}
				if f.NoOptDefVal == "" && len(field.Values) > 0 {
					cli.SetValues(c, n, field.Values...)
				}
			}
		}
	}()
	switch {
	case field.Kind == sp.KindBool:
		flags.Bool(name, false, help)
	case field.Kind.IsList():
		flags.StringArray(name, nil, help+" (repeatable)")
	default:
		flags.String(name, "", help)
	}
	switch {
	case !edit || field.Kind == sp.KindInts:
	case field.Kind == sp.KindCert:
		flags.StringArray(remove, nil, "remove a certificate, by `FILE` or the first 8 or more digits of its SHA-256")
	case field.Kind == sp.KindMap:
		flags.StringArray(remove, nil, "remove the text of a `LANGUAGE`")
	case field.Kind.IsList():
		flags.StringArray(remove, nil, "remove this value (repeatable)")
	case field.CanClear:
		flags.Bool(remove, false, "empty "+field.Name)
	}
}

// parseEdit gathers the options that were set.
func (f *flags) parseEdit(flags *pflag.FlagSet) (sp.Edit, error) {
	edit := sp.Edit{Set: make(map[string][]string), Remove: make(map[string][]string)}
	for _, field := range sp.Fields() {
		name := cli.FlagName(field.Option())
		switch {
		case !flags.Changed(name):
		case field.Kind == sp.KindFile:
			file, err := readLogo(flags.Lookup(name).Value.String())
			if err != nil {
				return edit, fmt.Errorf("--%s: %w", name, err)
			}
			if edit.Logo = file; file == nil {
				edit.Remove[field.Name] = []string{""}
			}
		default:
			values, err := readFlagValues(flags, name, field.Kind == sp.KindCert)
			if err != nil {
				return edit, err
			}
			edit.Set[field.Name] = values
		}
		remove := "remove-" + name
		if flags.Lookup(remove) == nil || !flags.Changed(remove) {
			continue
		}
		values, err := readFlagValues(flags, remove, false)
		if err != nil {
			return edit, err
		}
		if !field.Kind.IsList() && values[0] == "false" {
			continue
		}
		for i, v := range values {
			if data, err := cli.ReadFile(v, partnercert.MaxFile); err == nil && field.Kind == sp.KindCert {
				if list, err := partnercert.Read(data); err == nil {
					values[i] = certs.EncodePEM(list...)
				}
			}
		}
		edit.Remove[field.Name] = values
	}
	return edit, nil
}

// readLogo reads a logo, which the server checks. It returns nil without a file name, which
// means no logo.
func readLogo(name string) ([]byte, error) {
	switch {
	case name == "":
		return nil, nil
	case cli.IsURL(name):
		return nil, errors.New("takes a file, because pages show no image of another site: save the logo and give the name of the file")
	}
	data, err := cli.ReadFile(name, logo.MaxBytes)
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("%s is empty: save the logo again", name)
	}
	return data, err
}

// readFlagValues returns the values given to an option. If files is set, the values are file
// names, and readFlagValues returns the contents.
func readFlagValues(flags *pflag.FlagSet, name string, files bool) ([]string, error) {
	flag := flags.Lookup(name)
	list, ok := flag.Value.(pflag.SliceValue)
	if !ok {
		return []string{flag.Value.String()}, nil
	}
	values := list.GetSlice()
	if !files {
		return values, nil
	}
	for i, file := range values {
		if strings.Contains(file, "BEGIN ") || strings.HasPrefix(file, "MII") && len(file) > 200 {
			return nil, fmt.Errorf("--%s takes the name of a file, not its content: save the content in a file", name) // never quoted: it may be a key
		}
		data, err := cli.ReadFile(file, partnercert.MaxFile)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", name, err)
		}
		list, err := partnercert.Read(data)
		var certErr *partnercert.Error
		if errors.As(err, &certErr) && certErr.Code == partnercert.IsMetadata {
			return nil, fmt.Errorf("--%s %s: %w (--metadata does)", name, file, err)
		}
		if err != nil {
			return nil, fmt.Errorf("--%s %s: %w", name, file, err)
		}
		// Encode the list again, because the file may contain bytes that JSON cannot.
		values[i] = certs.EncodePEM(list...)
	}
	return values, nil
}

// parseChange converts the options to the request for the server.
func (a *commands) parseChange(c *cobra.Command, f *flags) (ops.SPChange, error) {
	change := ops.SPChange{EntityID: idp.EntityID(f.entityID), Options: f.options}
	if f.options.KeepNameIDs && f.options.NewNameIDs {
		return change, cli.Usage(c, "give --keep-name-ids or --new-name-ids, not both")
	}
	var err error
	if change.Edit, err = f.parseEdit(c.Flags()); err != nil {
		return change, err
	}
	if f.metadata == "" {
		return change, nil
	}
	doc, err := a.LoadMetadata(c.Context(), f.metadata, change.EntityID, f.options.AllowInsecureURL)
	if err != nil {
		return change, err
	}
	change.Metadata, change.MetadataFetched = doc, cli.IsURL(f.metadata)
	if _, isSet := change.Edit.Set["metadata_url"]; !isSet && cli.IsURL(f.metadata) {
		change.Edit.Set["metadata_url"] = []string{f.metadata}
	}
	return change, nil
}

func (a *commands) addCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "add (--metadata FILE|URL | --entity-id ID --acs-url URL --cert FILE …)",
		Short: "Register a service provider",
		Long: `Register a service provider from its metadata, from options, or both. Options
take precedence. By default it must sign its requests, may request sign-ins
without identity proofing (auth-only), and gets the email address.`,
		Example: `    vernal sp add --metadata https://app.example.gov/metadata --name "Permits"
    vernal sp add --entity-id https://app.example.gov/saml --name "Permits" \
        --acs-url https://app.example.gov/saml/acs --cert app.crt \
        --attribute email --attribute all_emails`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.entityID == "" && f.metadata == "" {
				return cli.Usage(c, "give --metadata, or --entity-id, --acs-url and --cert")
			}
			change, err := a.parseChange(c, &f)
			if err != nil {
				return err
			}
			return cli.Change(c.Context(), a.App, ops.AddSP, change, func(answer *sp.Change) {
				a.reportSP(answer)
				a.suggestMetadata(c.Context())
			})
		},
	}
	f.addFlags(c, false)
	return c
}

// reportSP reports the change of a registration.
func (a *commands) reportSP(change *sp.Change) {
	provider := change.Provider
	switch {
	case change.Created:
		a.Say("added %s (%s)", provider.EntityID, idp.ReplaceControls(provider.Name))
		a.Say("  may request %s, gets %s, NameID format %s", provider.IAL, joinAttributes(provider.Attributes), joinAttributes(provider.NameIDFormats))
		a.Say("  %s, encryption %s", cli.FormatCount(len(provider.Certs), "request certificate"), provider.Encryption)
	case len(change.Fields) == 0:
		a.Say("%s is unchanged", provider.EntityID)
	default:
		a.Say("changed %s: %s", provider.EntityID, strings.Join(change.Fields, ", "))
		a.reportLabels(change.Fields)
	}
	if n := change.NameIDsCopied; n > 0 {
		a.Say("  %s copied to %s", cli.FormatCount(n, "NameID"), provider.NameIDScope)
	}
	for _, w := range change.Warnings {
		a.Say("note: %s", idp.ReplaceControls(w))
	}
	a.SaySuggestions(change.Suggestions)
}

// labelFields describes the fields that have no effect on sign-ins, so that no operator relies on them
// to keep users out.
var labelFields = []struct{ field, use string }{
	{"state", "a label for 'vernal sp list --state'. Sign-ins do not depend on it: --active=false stops them"},
	{"team", "a label that 'vernal sp list --search' finds. Sign-ins do not depend on it"},
}

// reportLabels names the changed fields that have no effect on sign-ins.
func (a *commands) reportLabels(fields []string) {
	for _, l := range labelFields {
		if slices.Contains(fields, l.field) {
			a.Say("  %s: %s", l.field, l.use)
		}
	}
}

func joinAttributes(values []string) string {
	if len(values) == 0 {
		return "no attribute"
	}
	return strings.Join(values, ", ")
}

// suggestMetadata names the URL of our metadata, which the provider needs.
func (a *commands) suggestMetadata(ctx context.Context) {
	if list, err := cli.Ask(ctx, a.App, ops.ListYears, ops.Empty{}); err == nil && list.PreferredMetadataURL != "" {
		a.Say("next: give the provider our metadata, %s", list.PreferredMetadataURL)
	}
}

func (a *commands) editCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "edit ENTITY_ID [options]",
		Short: "Change a service provider",
		Long: `Change a service provider. An option sets a value, or adds to a list. --remove-…
removes from a list or empties a value, before values are added. --metadata updates
URLs and certificates from metadata, and no other values.`,
		Example: `    vernal sp edit https://app.example.gov/saml --cert new.crt
    vernal sp edit https://app.example.gov/saml --remove-cert 3f9a0c71
    vernal sp edit https://app.example.gov/saml --active=false`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && f.entityID == "":
				f.entityID = args[0]
			case len(args) == 1 && f.entityID != args[0]:
				return cli.Usage(c, "the argument and --entity-id differ, and an entity ID cannot be changed: leave out --entity-id")
			case f.entityID == "":
				return cli.Usage(c, "name the provider: vernal sp edit ENTITY_ID")
			}
			change, err := a.parseChange(c, &f)
			if err != nil {
				return err
			}
			if change.Edit.IsEmpty() && change.Metadata == nil {
				return cli.Usage(c, "nothing to change: give an option")
			}
			return cli.Change(c.Context(), a.App, ops.EditSP, change, a.reportSP)
		},
	}
	f.addFlags(c, true)
	a.CompleteArg(c, cli.FindEntityIDs)
	return c
}
