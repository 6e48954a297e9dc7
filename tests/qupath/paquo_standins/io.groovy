package qupath.lib.io

import com.google.gson.Gson
import com.google.gson.GsonBuilder
import com.google.gson.JsonParseException
import com.google.gson.JsonSerializer
import groovy.transform.CompileStatic
import java.nio.file.Files
import qupath.lib.gui.logging.LogManager
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.objects.hierarchy.PathObjectHierarchy
import qupath.lib.roi.GeometryROI

/** Stand-in after QuPath's GsonTools: a Gson that writes objects as GeoJSON. */
@CompileStatic
class GsonTools {
    static Gson getInstance() {
        def plain = new GsonBuilder().serializeSpecialFloatingPointValues().create()
        def objects = { object, type, context -> plain.toJsonTree(feature((PathObject) object)) } as JsonSerializer
        return new GsonBuilder().registerTypeHierarchyAdapter(PathObject, objects).create()
    }

    static Map feature(PathObject object) {
        def properties = [objectType: PathObjects.typeOf(object)] as Map<String, Object>
        if (object.name != null)
            properties.name = object.name
        PathClass given = object.getPathClass()
        if (given != null)
            properties.put('classification', [names: given.names, color: [200, 0, 0]])
        if (!object.getMeasurements().isEmpty())
            properties.measurements = object.getMeasurements()
        if (!object.getMetadata().isEmpty())
            properties.metadata = object.getMetadata()
        def made = [type: 'Feature', id: object.getID().toString(), geometry: object.getROI().geometry,
            properties: properties] as Map<String, Object>
        if (object.getNucleusROI() != null)
            made.nucleusGeometry = object.getNucleusROI().geometry
        return made
    }

    static PathObject object(Map made) {
        def properties = (Map) made.get('properties')
        def nucleus = (Map) made.nucleusGeometry
        def object = PathObjects.create((String) properties.objectType, UUID.fromString((String) made.id),
            new GeometryROI((Map) made.geometry), nucleus == null ? null : new GeometryROI(nucleus))
        object.name = (String) properties.name
        def classification = (Map) properties.classification
        if (classification != null) {
            assert classification.containsKey('color') : 'QuPath refuses a class without the key color'
            object.setPathClass(PathClass.fromCollection((List<String>) classification.names))
        }
        ((Map<String, Number>) (properties.measurements ?: [:])).each { name, value ->
            object.measurementList.put(name, value.doubleValue())
        }
        def metadata = (Map<String, String>) (properties.metadata ?: [:])
        try {
            metadata.each { key, value -> object.getMetadata().put(key, value) }
        } catch (UnsupportedOperationException e) {
            LogManager.error('Unable to set metadata', e) // as 0.5 does, for each detection
        }
        return object
    }
}

/** Stand-in after QuPath's PathIO. A data file is JSON here, and ends with "EOF" as it does there. */
@CompileStatic
class PathIO {
    static List<PathObject> readObjects(File file) throws IOException {
        def document = (Map) new Gson().fromJson(file.getText('UTF-8'), Map)
        return ((List<Map>) document.features).collect { GsonTools.object(it) }.asImmutable()
    }

    /** Of a file that was cut off QuPath awaits the end for ever, and says so. */
    static PathObjectHierarchy readHierarchy(InputStream stream) throws IOException {
        def bytes = new ByteArrayOutputStream()
        while (!bytes.toString('UTF-8').endsWith('EOF')) {
            int next = stream.read()
            if (next < 0)
                LogManager.error('Reached end of file unexpectedly...', new EOFException())
            else
                bytes.write(next)
        }
        return imageData(bytes.toString('UTF-8')).getHierarchy()
    }

    static ImageData readImageData(File file) throws IOException {
        def text = file.getText('UTF-8')
        if (!text.endsWith('EOF'))
            throw new EOFException()
        return imageData(text)
    }

    private static ImageData imageData(String text) throws IOException {
        def document = null as Map
        try {
            document = (Map) new Gson().fromJson(text[0..<-3], Map)
        } catch (JsonParseException e) {
            throw new StreamCorruptedException(e.getMessage())
        }
        def hierarchy = new PathObjectHierarchy()
        def parents = [:] as Map<String, PathObject>
        ((List<Map>) document.objects).each { record ->
            def feature = new LinkedHashMap((Map) record.feature)
            def properties = new LinkedHashMap((Map) feature.remove('properties'))
            def metadata = (Map<String, String>) properties.remove('metadata')
            feature.put('properties', properties)
            def object = GsonTools.object(feature)
            object.stored.putAll(metadata ?: [:])
            if (record.color != null)
                object.setColor(((Number) record.color).intValue())
            object.locked = (Boolean) record.locked
            hierarchy.addObjectBelowParent(parents.get((String) record.parent), object, false)
            parents.put(object.getID().toString(), object)
        }
        return new ImageData(hierarchy, (Map<String, Object>) document.get('properties'))
    }

    static void writeImageData(File file, ImageData data) throws IOException {
        def records = data.getHierarchy().getAllObjects(false).collect { object ->
            [feature: GsonTools.feature(object), color: object.getColor(), locked: object.locked,
                parent: object.parent.isRootObject() ? null : object.parent.getID().toString()]
        }
        def gson = new GsonBuilder().serializeSpecialFloatingPointValues().create()
        Files.createDirectories(file.toPath().getParent())
        file.setText(gson.toJson([objects: records, properties: data.getProperties()]) + 'EOF', 'UTF-8')
    }
}
