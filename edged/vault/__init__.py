"""The vault: originals on the station's disk as whole plain files, and the one recipe for durable files."""
