package qupath.lib.images.servers

/** Stand-in after QuPath's ImageServerBuilder, which is an interface there. */
class ImageServerBuilder {
    /** Stand-in after QuPath's ServerBuilder. */
    static interface ServerBuilder {
    }

    /** Stand-in after QuPath's DefaultImageServerBuilder, of an image that is a file. */
    static class DefaultImageServerBuilder implements ServerBuilder {
    }
}
