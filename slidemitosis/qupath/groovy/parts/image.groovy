import com.google.gson.JsonParseException
import java.nio.file.Files
import qupath.lib.common.GeneralTools
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.io.GsonTools
import qupath.lib.projects.Projects
import qupath.lib.scripting.ScriptAttributes

import static qupath.lib.gui.scripting.QPEx.*

/** Return where a script runs: the image, its entry and folder in a project, if any, and whether it runs alone. */
Map whereWeAre() {
    def project = getProject()
    def entry = getProjectEntry()
    def data = getCurrentImageData()
    def base = project == null || entry == null ? null : Projects.getBaseDirectory(project)
    return [
        project: project,
        entry: entry,
        id: entry == null ? '' : entry.getID().toString(),
        name: entry != null ? entry.getImageName() : data != null ? data.getServer().getMetadata().getName() : '',
        folder: base == null ? null : new File(base, 'slidemitosis'),
        alone: runsAlone(),
        saves: attribute(ScriptAttributes.BATCH_SAVE) == true,
        index: attribute(ScriptAttributes.BATCH_INDEX) ?: 0,
        size: attribute(ScriptAttributes.BATCH_SIZE) ?: 1,
    ]
}

/** Return what QuPath tells a script, or null. */
Object attribute(String name) {
    return binding.hasVariable(name) ? binding.getVariable(name) : null
}

/** Return whether a person runs this script on the image that is open, rather than a program on many. */
boolean runsAlone() {
    def gui = getQuPath()
    if (gui == null || !gui.getImageData().is(getCurrentImageData()))
        return false
    return (attribute(ScriptAttributes.BATCH_SIZE) ?: 1) <= 1
}

/** Return what slidemitosis must know of the image. Throws with the reason where it cannot read what QuPath shows. */
Map checkedImage(Map place) {
    if (getCurrentImageData() == null)
        refuse('no image is open; open one, or use "Run for project"')
    // Asked of the project first: the image itself cannot be asked if it cannot be opened.
    def missing = place.entry == null ? null : missingFile(place.entry)
    if (missing != null)
        refuse(noSuchFile(missing))
    def server = openedServer(place)
    def reason = movedReason(builderTypes(server.getBuilder()))
    if (reason != null)
        refuse(reason)
    def uris = new ArrayList(server.getURIs())
    def path = uris.size() == 1 ? GeneralTools.toPath(uris[0]) : null
    if (path == null)
        refuse("this image is not one file on this computer (${uris.join(', ') ?: 'no address'}); copy it here first")
    if (!Files.isRegularFile(path))
        refuse(noSuchFile(path.toFile()))
    def size = server.getPixelCalibration()
    return [
        slide: path.toFile(),
        width: server.getWidth(),
        height: server.getHeight(),
        server: server.getServerType(),
        mppX: size.getPixelWidthMicrons() as double,
        mppY: size.getPixelHeightMicrons() as double,
    ]
}

/** Return what reads the image's pixels. From 0.6 QuPath opens the file only now, and says nothing of why it cannot. */
Object openedServer(Map place) {
    try {
        return getCurrentServer()
    } catch (RuntimeException e) {
        if (place.entry == null)
            throw e
        refuse(cannotOpen(place.entry))
    }
}

/** Return the file of an image; null where it is not one file of this computer. */
File fileOf(entry) {
    def uris = new ArrayList(entry.getURIs())
    return uris.size() == 1 ? GeneralTools.toPath(uris[0])?.toFile() : null
}

/** Return the file of an image that is not there; null where it is there, or is not one file of this computer. */
File missingFile(entry) {
    def file = fileOf(entry)
    return file == null || file.exists() ? null : file
}

String cannotOpen(entry) {
    return "${fileOf(entry) ?: entry.getImageName()}: QuPath cannot open it: it is damaged or cut off, or of a " +
        'format that this QuPath does not read; copy it here again'
}

String noSuchFile(File file) {
    return "${file}: no such file; tell the project where it is now (open the image, and QuPath asks)".toString()
}

/** Return what an image is built of, from the outside in: "uri" is a file, "cropped" a part of what follows it. */
List<String> builderTypes(builder) {
    if (builder == null)
        return []
    def kind = builder.getClass().getSimpleName()
    if (kind == 'DefaultImageServerBuilder')
        return [fileType((builder.getArgs() ?: []) as List)]
    def types = []
    def json = null
    try {
        json = GsonTools.getInstance().toJsonTree(builder, ImageServerBuilder.ServerBuilder)
    } catch (IllegalArgumentException | JsonParseException ignored) {
        // Not one of QuPath's own kinds, or one with numbers that JSON cannot hold.
        return [kind]
    }
    while (json != null && json.isJsonObject() && json.getAsJsonObject().has('builderType')) {
        def part = json.getAsJsonObject()
        def type = part.get('builderType').getAsString()
        def args = type == 'uri' ? part.get('args') : null
        types << (args != null && args.isJsonArray() ? fileType(args.collect { it.getAsString() }) : type)
        json = part.get('builder')
    }
    return types
}

/** Return "uri", or which image of its file Bio-Formats is told to show, where that is not the first. */
String fileType(List<String> args) {
    def words = args.collectMany { it.split('=', 2) as List }
    def at = words.findIndexOf { it in ['--series', '-s', '--name', '-n'] }
    def which = at < 0 ? '0' : words[at + 1]
    return which in ['0', '-1'] ? 'uri' : "as series ${which} of its file".toString()
}

/** Return why the coordinates of an image that is built of these are not its file's, or null. */
String movedReason(List<String> types) {
    if (types.isEmpty())
        return 'QuPath does not say which file this image is from; add the file itself to the project'
    // These add levels or change colours, and move nothing.
    def moved = types.find { !(it in ['uri', 'pyramidize', 'color', 'swapRedBlue', 'color_deconvolved']) }
    if (moved == null && types.last() == 'uri')
        return null
    def words = [affine: 'flipped, turned or warped', channels: 'concatenated', sparse: 'put together from parts']
    def word = words.getOrDefault(moved, moved ?: 'made of something else')
    return "QuPath shows this image ${word}, so that its coordinates are not the file's; add the file itself to the " +
        'project'
}

/** Return whether this QuPath is of a version such as "0.5". */
boolean isVersion(String wanted) {
    return String.valueOf(GeneralTools.getVersion()).startsWith(wanted + '.')
}
