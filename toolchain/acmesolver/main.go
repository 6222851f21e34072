// acmesolver: the pod that cert-manager starts to answer one ACME challenge over HTTP, from its released package.
package main

import (
	"flag"
	"log"
	"log/slog"

	"github.com/cert-manager/cert-manager/pkg/issuer/acme/http/solver"
	"github.com/go-logr/logr"
)

func main() {
	var answer solver.HTTP01Solver
	flag.IntVar(&answer.ListenPort, "listen-port", 8089, "where to listen")
	flag.StringVar(&answer.Domain, "domain", "", "the name that is to be certified")
	flag.StringVar(&answer.Token, "token", "", "what the authority asks for")
	flag.StringVar(&answer.Key, "key", "", "what it is answered")
	flag.Parse()
	log.Fatal(answer.Listen(logr.FromSlogHandler(slog.Default().Handler())))
}
