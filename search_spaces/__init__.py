"""Search spaces that come with dnas: one module or package each, with a factory `space` and `PRESETS`."""
