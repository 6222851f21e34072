package edgegrid

import "errors"

var ErrLeftOut = errors.New("Akamai's DNS is left out")

type Config struct {
	Host, ClientToken, ClientSecret, AccessToken string
	MaxBody                                      int
}

func New(...func(*Config)) (*Config, error) { return nil, ErrLeftOut }
