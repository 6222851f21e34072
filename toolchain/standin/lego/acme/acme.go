// Package acme and its siblings stand in for lego, the ACME client that a local cluster has no use for.
// They let Traefik compile; asking for a certificate through ACME returns an error.
package acme

import "errors"

var ErrLeftOut = errors.New("ACME is left out of this build")

type Account struct {
	Status  string   `json:"status,omitempty"`
	Contact []string `json:"contact,omitempty"`
}

type ExtendedAccount struct {
	Account
	Location string `json:"-"`
}
