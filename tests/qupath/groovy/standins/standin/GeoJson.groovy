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
            object.pathClass = PathClass.of(properties.classification.names ?: [properties.classification.name])
        }
        properties.measurements?.each { name, value -> object.measurementList.put(name, value as double) }
        if (Session.version >= '0.6')
            properties.metadata?.each { key, value -> object.getMetadata().put(key, value) }
        return object
    }

    static Map written(PathObject object) {
        def feature = [type: 'Feature', id: object.getID().toString(), geometry: object.roi.geometry]
        if (object.nucleus != null)
            feature.nucleusGeometry = object.nucleus.geometry
        def properties = [objectType: object.kind]
        if (object.name != null)
            properties.name = object.name
        if (object.pathClass != null) {
            def names = object.pathClass.names
            properties.classification = (names.size() == 1 ? [name: names[0]] : [names: names]) + [color: [200, 0, 0]]
        }
        if (!object.measurements.isEmpty())
            properties.measurements = new LinkedHashMap(object.measurements)
        if (Session.version >= '0.6' && !object.getMetadata().isEmpty())
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
