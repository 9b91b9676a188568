"""What a person asks for, without a screen: typed options in, progress, a typed result out."""
