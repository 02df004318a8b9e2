"""What a campaign changed: treated against control, and how the model did now that labels exist."""
