"""The certificate authority of each cluster: what signs the certificates with which its pods are spoken to."""
