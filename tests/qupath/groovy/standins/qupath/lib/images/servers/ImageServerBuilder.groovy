package qupath.lib.images.servers

/** Stand-in after QuPath's ImageServerBuilder. */
interface ImageServerBuilder {
    /** Stand-in after QuPath's ServerBuilder. */
    static interface ServerBuilder {
    }

    /** Stand-in after QuPath's DefaultImageServerBuilder, of an image that is a file. */
    static class DefaultImageServerBuilder implements ServerBuilder {
        String[] args

        String[] getArgs() {
            return args == null ? null : args.clone()
        }
    }
}
