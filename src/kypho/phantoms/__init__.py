"""Analytic volumes, solid spines, virtual fractures and virtual cement. Everything here is synthetic."""
