"""How the validation loss's gradient with respect to `alpha` is estimated: one file each."""
