"""What figures need computed that no training or evaluation gives: gradients of losses, answers of kernels."""
