package standin

import com.google.gson.Gson
import com.google.gson.GsonBuilder
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjectWithMetadata
import qupath.lib.objects.StandinRoi
import qupath.lib.objects.classes.PathClass

/** GeoJSON as QuPath writes and reads it, as far as the scripts need it. What would end an import ends it here. */
class GeoJson {
    static List<PathObject> read(InputStream stream) {
        def document = new Gson().fromJson(new InputStreamReader(stream, 'UTF-8'), Map)
        assert document.type == 'FeatureCollection'
        return document.features.collect { readObject(it) }
    }

    static PathObject readObject(Map feature) {
        assert feature.get('properties') != null
        def properties = feature.get('properties')
        def kind = properties.objectType ?: 'annotation'
        def object = Session.version == '0.4' ? new PathObject(kind) : new PathObjectWithMetadata(kind)
        object.setID(feature.id == null ? UUID.randomUUID() : UUID.fromString(feature.id))
        object.roi = new StandinRoi(feature.geometry)
        object.nucleus = feature.nucleusGeometry == null ? null : new StandinRoi(feature.nucleusGeometry)
        object.name = properties.name
        if (properties.classification != null) {
            assert properties.classification.containsKey('color') : 'QuPath refuses a class without the key color'
            def names = properties.classification.names ?: properties.classification.name.split(':')*.trim()
            object.setPathClass(PathClass.fromCollection(names as List, packed(properties.classification.color)))
        }
        properties.measurements?.each { name, value -> object.measurementList.put(name, value as double) }
        object.setColor(packed(properties.color))
        object.setLocked(properties.isLocked == true)
        if (Session.version != '0.4')
            readMetadata(object, properties.metadata ?: [:])
        return object
    }

    /** From a file 0.5 reads the metadata of annotations alone, and logs a stack trace for each detection with some. */
    private static void readMetadata(PathObject object, Map metadata) {
        if (metadata.isEmpty())
            return
        if (Session.version == '0.5' && object.kind != 'annotation' && !Session.restoring)
            Session.logged << [level: 'warning', message: 'UnsupportedOperationException']
        else
            object.store(metadata)
    }

    private static Integer packed(List color) {
        return color == null ? null :
            (0xff << 24) | ((color[0] as int) << 16) | ((color[1] as int) << 8) | (color[2] as int)
    }

    static Map written(PathObject object) {
        def feature = [type: 'Feature', id: object.getID().toString(), geometry: object.roi.geometry]
        if (object.nucleus != null)
            feature.nucleusGeometry = object.nucleus.geometry
        def properties = [objectType: object.kind]
        if (object.name != null)
            properties.name = object.name
        if (object.color != null)
            properties.color = [16, 8, 0].collect { (object.color >> it) & 255 }
        if (object.locked)
            properties.isLocked = true
        if (object.pathClass != null) {
            def names = object.pathClass.names
            properties.classification = (names.size() == 1 ? [name: names[0]] : [names: names]) + [color: [200, 0, 0]]
        }
        if (!object.measurements.isEmpty())
            properties.measurements = new LinkedHashMap(object.measurements)
        if (Session.version != '0.4' && !object.getMetadata().isEmpty())
            properties.metadata = new LinkedHashMap(object.getMetadata())
        feature.put('properties', properties)
        return feature
    }

    static void write(OutputStream stream, Collection<PathObject> objects) {
        def document = [type: 'FeatureCollection', features: objects.collect { written(it) }]
        def text = new GsonBuilder().serializeSpecialFloatingPointValues().create().toJson(document)
        stream.write(text.getBytes('UTF-8'))
    }
}
