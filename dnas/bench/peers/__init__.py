"""The same networks in plain PyTorch, to hold ours against; the only folder that imports torch, which is optional."""
