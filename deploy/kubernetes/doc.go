// Package kubernetes has no code: its tests decode the manifests beside it into
// Kubernetes' own types. It is a module of its own, so that these stay out of the
// programs' go.mod.
package kubernetes
