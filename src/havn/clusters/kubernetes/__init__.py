"""The cluster port on a real Kubernetes: Helm puts an app there, and what runs is read from the cluster itself."""

from havn.clusters.kubernetes.cluster import Images, KubernetesCluster, Site
from havn.clusters.kubernetes.front import Front
from havn.clusters.kubernetes.helm import Helm
from havn.clusters.kubernetes.kube import Kube
from havn.clusters.kubernetes.values import Image

__all__ = ["Front", "Helm", "Image", "Images", "Kube", "KubernetesCluster", "Site"]
