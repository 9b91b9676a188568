"""Everything that knows napari or Qt: panels, reader, writer, samples."""
