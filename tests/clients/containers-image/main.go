// A copy as skopeo makes it, with the library that podman, skopeo, buildah and CRI-O share: Debian builds its
// skopeo and podman without their verification of sigstore signatures.
//
//	containers-image POLICY REGISTRIES.D SOURCE TARGET [SIGNING-KEY]
//
// SOURCE and TARGET are docker://HOST/NAME:TAG or oci:DIRECTORY:TAG; registries are plain HTTP, logins are taken
// from $REGISTRY_AUTH_FILE. SIGNING-KEY is cosign's encrypted form with an empty password.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/signature/signer"
	"go.podman.io/image/v5/signature/sigstore"
	"go.podman.io/image/v5/types"
)

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: containers-image POLICY REGISTRIES.D SOURCE TARGET [SIGNING-KEY]")
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	policy, err := signature.NewPolicyFromFile(arguments[0])
	if err != nil {
		return err
	}
	trusted, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer func() { _ = trusted.Destroy() }()
	source, err := reference(arguments[2])
	if err != nil {
		return err
	}
	target, err := reference(arguments[3])
	if err != nil {
		return err
	}
	system := &types.SystemContext{
		RegistriesDirPath:           arguments[1],
		AuthFilePath:                os.Getenv("REGISTRY_AUTH_FILE"),
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
	}
	options := &copy.Options{
		SourceCtx:        system,
		DestinationCtx:   system,
		RemoveSignatures: strings.HasPrefix(arguments[3], "oci:"), // a layout has no place for them
	}
	if len(arguments) > 4 {
		made, err := sigstore.NewSigner(sigstore.WithPrivateKeyFile(arguments[4], []byte{}))
		if err != nil {
			return err
		}
		defer func() { _ = made.Close() }()
		options.Signers = []*signer.Signer{made}
	}
	_, err = copy.Image(context.Background(), trusted, target, source, options)
	return err
}

func reference(text string) (types.ImageReference, error) {
	if name, found := strings.CutPrefix(text, "docker:"); found {
		return docker.ParseReference(name)
	}
	if name, found := strings.CutPrefix(text, "oci:"); found {
		return layout.ParseReference(name)
	}
	return nil, fmt.Errorf("%q is neither docker://… nor oci:…", text)
}
