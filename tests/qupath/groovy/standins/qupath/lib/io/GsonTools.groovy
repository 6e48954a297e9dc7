package qupath.lib.io

import com.google.gson.Gson
import com.google.gson.GsonBuilder
import com.google.gson.JsonSerializer
import qupath.lib.images.servers.ImageServerBuilder

/** Stand-in after QuPath's GsonTools: a Gson that knows builders only by the type ServerBuilder. */
class GsonTools {
    static Gson getInstance() {
        def plain = new GsonBuilder().create()
        def builders = { builder, type, context -> plain.toJsonTree(builder.json) } as JsonSerializer
        return new GsonBuilder().registerTypeAdapter(ImageServerBuilder.ServerBuilder, builders).create()
    }
}
