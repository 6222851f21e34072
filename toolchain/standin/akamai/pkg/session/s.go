package session

import "github.com/akamai/AkamaiOPEN-edgegrid-golang/v13/pkg/edgegrid"

type Session struct{}

func WithSigner(*edgegrid.Config) struct{} { return struct{}{} }

func New(...struct{}) (Session, error) { return Session{}, edgegrid.ErrLeftOut }
